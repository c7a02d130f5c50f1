"""Artifacts: files that a script keeps in a folder. Other stores are inert."""

import json
import mimetypes
import os
import shutil
import uuid

from optuna._inert import Inert, inert_names, tell_once


class FileSystemArtifactStore:
    """A folder with a file for each artifact, as Optuna has it."""

    def __init__(self, base_path):
        self._base_path = os.fspath(base_path)

    def open_reader(self, artifact_id):
        return open(os.path.join(self._base_path, artifact_id), "rb")

    def write(self, artifact_id, content_body):
        with open(os.path.join(self._base_path, artifact_id), "wb") as file:
            shutil.copyfileobj(content_body, file)

    def remove(self, artifact_id):
        os.remove(os.path.join(self._base_path, artifact_id))


def upload_artifact(*, artifact_store, file_path, study_or_trial, storage=None, mimetype=None, encoding=None):
    """Writes a file to the store, notes it with the trial and returns its id. An inert store takes nothing."""
    artifact_id = str(uuid.uuid4())
    if isinstance(artifact_store, Inert):
        tell_once("artifacts go to a FileSystemArtifactStore only; the file was not uploaded")
        return artifact_id
    with open(file_path, "rb") as file:
        artifact_store.write(artifact_id, file)
    guessed, guessed_encoding = mimetypes.guess_type(file_path)
    facts = {
        "artifact_id": artifact_id,
        "filename": os.path.basename(file_path),
        "mimetype": mimetype or guessed or "application/octet-stream",
        "encoding": encoding or guessed_encoding,
    }
    # Optuna keeps this among the system attributes, which a program cannot set.
    study_or_trial.set_user_attr(f"artifacts:{artifact_id}", json.dumps(facts))
    return artifact_id


def download_artifact(*, artifact_store, file_path, artifact_id):
    """Copies an artifact from the store to a file that must not exist."""
    with artifact_store.open_reader(artifact_id) as source, open(file_path, "xb") as file:
        shutil.copyfileobj(source, file)


__getattr__ = inert_names(__name__)
