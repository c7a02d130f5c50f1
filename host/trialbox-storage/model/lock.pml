/*
 * The protocol of the lock file, for Spin (https://spinroot.com): src/lock/file.rs, and `commit` in
 * src/sqlite/connection.rs. `cargo xtask test lock-model` searches it for two processes between the last look at the
 * lock and the end of COMMIT, and for a transaction whose database changed since it was opened.
 *
 * Names are atomic, and a file that is opened shows what its last writer closed. SQLite's own locks are left out:
 * they may end at a machine's border.
 *
 * A file is numbered by the transaction that made it, 1 + process + N * round; 0 is no file. A process that tries
 * again uses its number again if nothing has it any more, and once a second one, 1 + process + N * (ROUNDS + round).
 * The program draws a new token each time.
 *
 *   N        processes
 *   ROUNDS   transactions of each
 *   STOPS    stops of a process, each for longer than a lock must stand still, at every point but inside COMMIT
 *   COMMITS  such stops between the last look at the lock and the end of COMMIT: the window that remains
 *   CRASHES  deaths of a process at every point, which all others know of or none
 */
#define FILES (1 + 2 * N * ROUNDS)
#define OWNER(file) ((file - 1) % N)

byte lock;                /* the file named `study.db.lock` */
byte after[FILES];        /* the file named `study.db.lock.after-F`, the claim to follow file F */
bool released[FILES];     /* the word in the file says that its holder is done */
bool settled[FILES];      /* the word in the file says that no process before its holder is inside COMMIT */
bool still[N];            /* the files of this process have stood still for long: it is stopped, or dead */
bool known_dead[N];       /* all others know that this process is dead */
bool writing[N];          /* this process is between its last look at the lock and the end of COMMIT */
bool renaming[N];         /* this process is between its second look at the lock and its rename */
byte n_writing;           /* the number of processes that are writing */
byte version;             /* the number of commits */
byte stops = STOPS, commits = COMMITS, crashes = CRASHES;

/* `LockFile::is_free` */
#define IS_FREE(file) (file == 0 || released[file] || still[OWNER(file)])
/* `Sighting::is_settled` */
#define IS_SETTLED(file) (file == 0 || (settled[file] && (released[file] || known_dead[OWNER(file)])))

/* The process may stop here for so long that others take it for dead. When it goes on, it touches its files. */
#define MAY_STOP \
  if :: skip \
     :: atomic { stops > 0 -> stops--; still[me] = true }; still[me] = false \
  fi

/* The process may die here. */
#define MAY_DIE \
  if :: skip \
     :: atomic { crashes > 0 -> \
          crashes--; still[me] = true; renaming[me] = false; \
          if :: known_dead[me] = true :: skip fi; \
          if :: writing[me] -> writing[me] = false; n_writing-- :: else fi; \
          goto gone \
        } \
  fi

/* `LockFile::settle`: longer than a COMMIT or a rename takes in a process that does not stop there. */
#define IS_QUIET(p) (still[p] || !(writing[p] || renaming[p]))
#if N == 2
#define SETTLE (IS_QUIET(0) && IS_QUIET(1))
#elif N == 3
#define SETTLE (IS_QUIET(0) && IS_QUIET(1) && IS_QUIET(2))
#else
#define SETTLE (IS_QUIET(0) && IS_QUIET(1) && IS_QUIET(2) && IS_QUIET(3))
#endif

active [N] proctype process() {
  byte me = _pid, round, own, seen, opened;
  bool was_settled, is_renamed;

next:
  atomic {
    seen = 0; was_settled = false; is_renamed = false; opened = 0;
    if :: round == ROUNDS -> goto gone :: else fi;
    own = 1 + me + N * round;
    round++
  };

wait:
  /* `LockFile::acquire` waits until the lock is free. */
  atomic { is_renamed = false; IS_FREE(lock) -> seen = lock; was_settled = IS_SETTLED(seen) };
  MAY_STOP;
  /* `LockFile::create` makes the claim, if no other process has. */
  if
  :: atomic { after[seen] == 0 -> after[seen] = own }
  :: atomic { after[seen] != 0 && !still[OWNER(after[seen])] -> goto wait }
  :: after[seen] != 0 && still[OWNER(after[seen])] ->
     /* `LockFile::remove_abandoned` removes a name, and may hit a younger claim. */
     atomic { after[seen] = 0; goto wait }
  fi;
  MAY_STOP;
  MAY_DIE;
  /* `LockFile::take` looks at the lock again. */
  if
  :: atomic { lock == seen && IS_FREE(seen) -> renaming[me] = true };
     MAY_STOP;
     MAY_DIE;
     /* It renames the claim to the lock, whoever's claim has the name by now. */
     atomic {
       renaming[me] = false;
       if
       :: after[seen] != 0 -> lock = after[seen]; after[seen] = 0; is_renamed = true
       :: else
       fi
     };
     MAY_STOP;
     MAY_DIE
  :: atomic { !(lock == seen && IS_FREE(seen)) -> skip }
  fi;
  /* The lock decides. `HeldLock::withdraw` removes a claim that is still its own. */
  if
  :: atomic { lock == own -> skip }
  :: atomic { lock != own && after[seen] != own -> goto wait }
  :: lock != own && after[seen] == own ->
     atomic {
       after[seen] = 0;
       if
       :: lock != own -> goto wait
       :: else ->
          /* Another process has just renamed it. Dropping it releases it. */
          released[own] = true;
          if
          :: own <= N * ROUNDS -> own = own + N * ROUNDS; goto wait
          :: else -> goto gone
          fi
       fi
     }
  fi;
  if
  :: is_renamed && was_settled
  :: else -> MAY_STOP; MAY_DIE; SETTLE
  fi;
  settled[own] = true;

  /* `Database::with_connection` opens the database, and the transaction runs. */
  opened = version;
  MAY_STOP;
  MAY_DIE;
  /* `HeldLock::is_ours`, then COMMIT. */
  if
  :: atomic {
       lock == own ->
       writing[me] = true;
       n_writing++;
       assert(n_writing == 1 && opened == version)
     };
     if
     :: skip
     :: atomic { commits > 0 -> commits--; still[me] = true }; still[me] = false
     fi;
     MAY_DIE;
     atomic { assert(opened == version); version++; writing[me] = false; n_writing-- }
  :: atomic { lock != own -> skip }
  fi;
  MAY_STOP;
  MAY_DIE;
  /* `HeldLock::drop` writes into its own file, which may have lost its name. */
  atomic { released[own] = true; goto next };
gone:
  skip
}
