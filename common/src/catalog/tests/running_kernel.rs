//! The releases against the kernel that the test runs on.

use io_uring::{IoUring, Probe};

use super::*;
use crate::ring::{RingOptions, SetupFlags, build};
use testkit::io_uring_or_skip;

/// A ring and this kernel's release; says why not where there is none.
fn ring() -> Option<(IoUring, Kernel)> {
    if !io_uring_or_skip("the catalogue against this kernel") {
        return None;
    }
    let release = crate::environment::kernel_release();
    let kernel = Kernel::parse(&release).expect("uname prints a release");
    let ring = build(&RingOptions::default(), 4, SetupFlags::default()).expect("a ring");
    Some((ring, kernel))
}

/// The probe counts the operations that the kernel's source has, whether built in or not.
#[test]
fn the_kernel_knows_the_operations_of_its_release() {
    let Some((ring, kernel)) = ring() else { return };
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).expect("the probe is in every kernel since 5.6");
    // What a build can leave out.
    let optional = ["EPOLL_CTL", "EPOLL_WAIT", "RECV_ZC"];
    for entry in OPERATIONS.entries.iter().filter(|entry| entry.since <= kernel) {
        let left_out = optional.contains(&entry.short) || entry.short.starts_with("FUTEX_");
        let code = u8::try_from(entry.code).expect("opcodes are bytes");
        assert!(left_out || probe.is_supported(code), "{} in Linux {kernel}", entry.name);
    }
}

#[test]
fn the_kernel_reports_the_features_of_its_release() {
    let Some((ring, kernel)) = ring() else { return };
    let params = ring.params();
    let reported = [
        ("SINGLE_MMAP", params.is_feature_single_mmap()),
        ("NODROP", params.is_feature_nodrop()),
        ("SUBMIT_STABLE", params.is_feature_submit_stable()),
        ("RW_CUR_POS", params.is_feature_rw_cur_pos()),
        ("CUR_PERSONALITY", params.is_feature_cur_personality()),
        ("FAST_POLL", params.is_feature_fast_poll()),
        ("POLL_32BITS", params.is_feature_poll_32bits()),
        ("SQPOLL_NONFIXED", params.is_feature_sqpoll_nonfixed()),
        ("EXT_ARG", params.is_feature_ext_arg()),
        ("NATIVE_WORKERS", params.is_feature_native_workers()),
        ("RSRC_TAGS", params.is_feature_resource_tagging()),
        ("CQE_SKIP", params.is_feature_skip_cqe_on_success()),
        ("LINKED_FILE", params.is_feature_linked_file()),
        ("RECVSEND_BUNDLE", params.is_feature_recvsend_bundle()),
        ("MIN_TIMEOUT", params.is_feature_min_timeout()),
        ("NO_IOWAIT", params.is_feature_no_iowait()),
    ];
    for (name, has) in reported {
        let entry = FEATURES.by_name(name).expect("in the table");
        assert!(has || entry.since > kernel, "{} in Linux {kernel}", entry.name);
    }
}
