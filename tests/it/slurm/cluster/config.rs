//! The folders of a cluster, and its `slurm.conf`.

use super::{Options, Proctrack};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The folders and names of a cluster.
pub(super) struct Layout {
    /// The test's folder, which is the home of the cluster's user.
    pub(super) home: PathBuf,
    pub(super) conf: PathBuf,
    /// The folder in which the nodes keep files of their jobs.
    pub(super) spool: PathBuf,
    /// The nodes' names.
    pub(super) nodes: Vec<String>,
}

impl Layout {
    /// Creates the folders and writes the configuration.
    pub(super) fn make(home: &Path, options: &Options) -> Self {
        let ports = free_ports(options.nodes + 1);
        // The daemons have sockets there, whose paths are limited to 107 bytes (unix(7)).
        let spool = std::env::temp_dir().join(format!("trialbox-slurm-{}", ports[0]));
        let folder = home.join("slurm");
        // All clusters share the machine's freezer hierarchy, so each node needs a unique name.
        let name = |index: usize| format!("c{}n{index}", ports[0]);
        let nodes: Vec<String> = (1..=options.nodes).map(name).collect();
        let layout =
            Layout { home: home.to_owned(), conf: folder.join("slurm.conf"), spool, nodes };
        layout.make_folders();
        let conf = layout.general(options, ports[0]) + &layout.partitions(options, &ports[1..]);
        std::fs::write(&layout.conf, conf).unwrap();
        // Slurm reads this file even where it uses no cgroups. Only the freezer is used, and it must be mounted.
        let cgroup =
            "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nCgroupMountpoint=/sys/fs/cgroup\n";
        std::fs::write(folder.join("cgroup.conf"), cgroup).unwrap();
        std::fs::write(folder.join("plugstack.conf"), "").unwrap();
        layout
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.home.join("slurm/log").join(name)
    }

    fn make_folders(&self) {
        let _ = std::fs::remove_dir_all(&self.spool);
        for folder in ["slurm/log", "slurm/state", "slurm/run"] {
            std::fs::create_dir_all(self.home.join(folder)).unwrap();
        }
        for node in &self.nodes {
            std::fs::create_dir_all(self.spool.join(node)).unwrap();
        }
    }

    /// Returns the settings of the whole cluster.
    fn general(&self, options: &Options, port: u16) -> String {
        let user = rustix::process::geteuid().as_raw();
        let (spool, folder) = (self.spool.display(), self.home.join("slurm").display().to_string());
        let proctrack = match options.proctrack {
            Proctrack::Cgroup => "cgroup",
            Proctrack::Linuxproc => "linuxproc",
        };
        let [kill_wait, requeue_wait, slurmd_timeout] =
            [options.kill_wait, options.requeue_wait, options.slurmd_timeout]
                .map(|time| time.as_secs());
        assert!(requeue_wait >= 5, "Slurm takes {requeue_wait} s for its default of 120 s");
        // `cred_expire` is also the wait of a requeued job. `config_overrides` lets nodes have more cores than the
        // machine. The scheduler runs every second, and the controller never forgets a job.
        format!(
            "ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire={requeue_wait}
StateSaveLocation={folder}/state
SlurmdSpoolDir={spool}/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_window=60,default_queue_depth=1000
SlurmctldTimeout=10
SlurmdTimeout={slurmd_timeout}
KillWait={kill_wait}
MinJobAge=86400
InactiveLimit=0
ReturnToService=2
JobRequeue=1
MaxArraySize=10001
MaxJobCount=20000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
",
            host = host(),
        )
    }

    /// Returns the lines of the nodes and of the partitions, which all contain all nodes.
    fn partitions(&self, options: &Options, ports: &[u16]) -> String {
        const MEGABYTES_PER_CPU: usize = 500;
        let (cpus, memory, host) = (options.cpus, options.cpus * MEGABYTES_PER_CPU, host());
        let mut text = format!(
            "DefMemPerCPU={MEGABYTES_PER_CPU}\nNodeName=DEFAULT CPUs={cpus} RealMemory={memory}\n"
        );
        for (node, port) in self.nodes.iter().zip(ports) {
            text +=
                &format!("NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}\n");
        }
        let grace = options.grace.as_secs();
        text += "PartitionName=DEFAULT Nodes=ALL MaxTime=INFINITE DefaultTime=10 PreemptMode=OFF\n";
        text +=
            "PartitionName=main PriorityTier=5 Default=YES\nPartitionName=high PriorityTier=10\n";
        text +=
            &format!("PartitionName=low PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace}\n");
        text
    }
}

/// Returns the machine's name in the form in which `slurmd` looks itself up.
fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Returns free ports of loopback that no other cluster of this process gets. They lie below the ports that Linux gives
/// to outgoing connections.
fn free_ports(n: usize) -> Vec<u16> {
    const FIRST: usize = 20_000;
    const PORTS: usize = 10_000;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Each process starts at another port.
    let begin = std::process::id() as usize * 101;
    let candidates = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed)).take(PORTS);
    let ports = candidates.map(|next| (FIRST + (begin + next) % PORTS) as u16);
    let free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let found: Vec<u16> = free.take(n).collect();
    assert_eq!(found.len(), n, "not enough free ports");
    found
}
