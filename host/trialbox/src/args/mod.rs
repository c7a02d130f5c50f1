//! Flags that several commands share, and what they mean.

pub(crate) mod archive;
pub(crate) mod checkpoint;
pub(crate) mod chosen;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod directories;
pub(crate) mod grants;
pub(crate) mod job_end;
pub(crate) mod limit;
pub(crate) mod objective;
pub(crate) mod param;
pub(crate) mod program;
pub(crate) mod pruner;
pub(crate) mod quantity;
pub(crate) mod runtime;
pub(crate) mod sampler;
pub(crate) mod sharing;
pub(crate) mod space;
pub(crate) mod space_file;
pub(crate) mod space_flag;
pub(crate) mod stopping;
pub(crate) mod storage;
pub(crate) mod study;
pub(crate) mod trusted;
pub(crate) mod until;
