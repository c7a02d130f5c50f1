//! The use of GPUs by a program, as `nvidia-smi` shows it.
//!
//! A thread asks it now and then. It may take seconds, or hang on a broken driver: the trial never waits for it.

use crate::command::find_program;
use crate::process_tree::descendants;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = "nvidia-smi";
/// In two parts, because it is a flag of that program and not of the binary's of the same name.
const FORMAT: &str = concat!("--", "format=csv,noheader,nounits");
const PROCESSES: &str = "--query-compute-apps=pid,used_memory";
const DEVICES: &str = "--query-gpu=index,uuid,utilization.gpu";

/// The time until the GPUs are first looked at, and between two later looks.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_secs(5);

/// The part of the time that looks may take: one in this number.
const MAX_SHARE: u32 = 50;

/// The time after which an answer is not waited for any more.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// The GPUs' use by one trial, as far as it was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct GpuUsage {
    /// The most memory that its processes had on all GPUs.
    pub(crate) peak_memory_bytes: Option<u64>,
    sum_of_percents: f64,
    n_looks: u32,
}

impl GpuUsage {
    /// Returns the mean utilisation of the trial's GPUs over all looks.
    pub(crate) fn mean_percent(&self) -> Option<f64> {
        (self.n_looks > 0).then(|| self.sum_of_percents / f64::from(self.n_looks))
    }

    fn note(&mut self, memory: Option<u64>, percent: Option<f64>) {
        self.peak_memory_bytes = self.peak_memory_bytes.max(memory);
        if let Some(percent) = percent {
            self.sum_of_percents += percent;
            self.n_looks += 1;
        }
    }
}

/// Looks at the GPUs while a trial runs. Dropping it ends the looks, without waiting for one under way.
#[derive(Debug)]
pub(crate) struct GpuWatch {
    usage: Arc<Mutex<GpuUsage>>,
    asked: Asked,
    /// Closes when this is dropped.
    _end: Sender<()>,
}

/// The `nvidia-smi` that runs, if one does. It is killed with the watch.
type Asked = Arc<Mutex<Option<Child>>>;

impl Drop for GpuWatch {
    fn drop(&mut self) {
        if let Some(child) = &mut *lock(&self.asked) {
            let _ = child.kill();
        }
    }
}

impl GpuWatch {
    /// Starts to look at the processes below `root`, if `nvidia-smi` is in the folders of `path`. `devices` are the
    /// numbers or names of the trial's GPUs; all count without one.
    pub(crate) fn start(root: u32, devices: Vec<String>, path: Option<&OsStr>) -> Option<Self> {
        let program = find_program(OsStr::new(PROGRAM), path)?;
        let usage = Arc::new(Mutex::new(GpuUsage::default()));
        let (end, ended) = channel();
        let asked = Asked::default();
        let (seen, running) = (Arc::clone(&usage), Arc::clone(&asked));
        let looks = move || {
            look_until(&ended, |query| ask(&program, query, &running), root, &devices, &seen);
        };
        thread::Builder::new().name("gpu-watch".to_owned()).spawn(looks).ok()?;
        Some(GpuWatch { usage, asked, _end: end })
    }

    /// Returns what was seen so far.
    pub(crate) fn usage(&self) -> GpuUsage {
        *lock(&self.usage)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_until(
    ended: &Receiver<()>,
    ask: impl Fn(&str) -> Option<String>,
    root: u32,
    devices: &[String],
    usage: &Mutex<GpuUsage>,
) {
    let mut wait = FIRST_LOOK;
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let started = Instant::now();
        // One that fails or hangs once is not asked again.
        let Some(processes) = ask(PROCESSES) else { return };
        let memory = memory_of(&processes, &descendants(root));
        let percent = ask(DEVICES).and_then(|gpus| mean_percent_of(&gpus, devices));
        lock(usage).note(memory, percent);
        wait = LOOK.max(started.elapsed() * MAX_SHARE);
    }
}

/// Returns the answer to a query; `None` if it fails or takes too long.
fn ask(program: &Path, query: &str, asked: &Asked) -> Option<String> {
    let mut child = Command::new(program)
        .args([query, FORMAT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    *lock(asked) = Some(child);
    let answer = read_answer(stdout);
    let mut child = lock(asked).take()?;
    if answer.is_none() {
        let _ = child.kill();
    }
    // A process that waits for a device does not end, so its end is not waited for without a limit.
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match child.try_wait().ok()? {
            // One that was killed has closed its output too.
            Some(status) => return answer.filter(|_| status.success()),
            None if Instant::now() >= until => return None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn read_answer(mut stdout: ChildStdout) -> Option<String> {
    let until = Instant::now() + TIMEOUT;
    let mut answer = Vec::new();
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok()?;
        let is_ready = poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)).ok()? > 0;
        if !is_ready || answer.len() > MAX_ANSWER_BYTES {
            return None;
        }
        let mut buffer = [0; 8192];
        match stdout.read(&mut buffer).ok()? {
            0 => return Some(String::from_utf8_lossy(&answer).into_owned()),
            length => answer.extend_from_slice(&buffer[..length]),
        }
    }
}

/// Returns the memory of these processes on all GPUs, from lines such as `4711, 512`, in mebibytes. `None` if none of
/// them is on a GPU.
fn memory_of(answer: &str, processes: &[u32]) -> Option<u64> {
    let rows = answer.lines().filter_map(|line| line.split_once(','));
    let own = rows.filter_map(|(process, memory)| {
        let process: u32 = process.trim().parse().ok()?;
        processes.contains(&process).then(|| number(memory))?
    });
    own.map(|mebibytes| (mebibytes * 1_048_576.0) as u64).reduce(|sum, bytes| sum + bytes)
}

/// Returns the mean utilisation of the named GPUs, from lines such as `0, GPU-8932f937, 43`.
fn mean_percent_of(answer: &str, devices: &[String]) -> Option<f64> {
    let percents: Vec<f64> = answer
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [index, uuid, percent] = fields[..] else { return None };
            let is_own = |device: &String| device == index || uuid.starts_with(device.as_str());
            (devices.is_empty() || devices.iter().any(is_own)).then(|| number(percent))?
        })
        .collect();
    (!percents.is_empty()).then(|| percents.iter().sum::<f64>() / percents.len() as f64)
}

/// Reads a number, with a unit or not; `None` for `[N/A]`.
fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_nvidia_smi_are_read() {
        let answer = "11, 512\n12, 3\n11, 100\n99, 7000\n13, [N/A]\n";
        assert_eq!(memory_of(answer, &[11, 12, 13]), Some(615 << 20));
        assert_eq!(memory_of(answer, &[14]), None);
        assert_eq!(memory_of("pid, used_gpu_memory [MiB]\n11, 5 MiB\n", &[11]), Some(5 << 20));
        let gpus = "0, GPU-aa1, 10\n1, GPU-bb2, 90\n2, GPU-cc3, [N/A]\n";
        let own = |devices: &[&str]| {
            let devices: Vec<String> = devices.iter().map(|it| (*it).to_owned()).collect();
            mean_percent_of(gpus, &devices)
        };
        assert_eq!(own(&[]), Some(50.0));
        assert_eq!(own(&["1"]), Some(90.0));
        assert_eq!(own(&["GPU-aa1"]), Some(10.0));
        assert_eq!(own(&["2"]), None);
        let mut usage = GpuUsage::default();
        assert_eq!(usage.mean_percent(), None);
        usage.note(Some(5), Some(20.0));
        usage.note(Some(3), Some(40.0));
        usage.note(None, None);
        assert_eq!((usage.peak_memory_bytes, usage.mean_percent()), (Some(5), Some(30.0)));
    }
}
