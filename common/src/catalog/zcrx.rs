//! Zero-copy receive (`linux/io_uring/zcrx.h`): what `IORING_REGISTER_ZCRX_IFQ` and
//! `IORING_REGISTER_ZCRX_CTRL` take and report.

use super::table::table;

const AREA: &str = "io_uring_zcrx_area_reg.flags";
const REGISTER: &str = "io_uring_zcrx_ifq_reg.flags";
const FEATURES: &str = "io_uring_query_zcrx.features";
const CONTROL: &str = "zcrx_ctrl.op";
const EVENTS: &str = "zcrx_event_desc.type_mask";
const EVENT_FLAGS: &str = "zcrx_event_desc.flags";

table! {
    /// The kind of memory that receives the data.
    ZCRX_AREA_FLAGS: Flags, "zcrx area flag", "IORING_ZCRX_AREA_";
    IORING_ZCRX_AREA_DMABUF = 1 << 0, "6.16", AREA, "memory of a device: the descriptor is a dma-buf's";
}

table! {
    /// What to register.
    ZCRX_REGISTER_FLAGS: Flags, "zcrx register flag", "ZCRX_REG_";
    ZCRX_REG_IMPORT = 1 << 0, "6.19", REGISTER, "share the queue that another ring has exported";
    ZCRX_REG_NODEV  = 1 << 1, "7.1",  REGISTER, "no network card: all data is copied";
}

table! {
    /// What the kernel says that it can do (`IO_URING_QUERY_ZCRX`).
    ZCRX_FEATURES: Flags, "zcrx feature", "ZCRX_FEATURE_";
    ZCRX_FEATURE_RX_PAGE_SIZE = 1 << 0, "7.0", FEATURES, "buffers larger than a page: rx_buf_len";
    ZCRX_FEATURE_EVENT        = 1 << 1, "7.2", FEATURES, "it reports events";
}

table! {
    /// What `IORING_REGISTER_ZCRX_CTRL` does.
    ZCRX_CONTROLS: Codes, "zcrx control", "ZCRX_CTRL_";
    ZCRX_CTRL_FLUSH_RQ  = 0, "6.19", CONTROL, "take back what stands in the refill ring";
    ZCRX_CTRL_EXPORT    = 1, "6.19", CONTROL, "make a descriptor by which other rings share it";
    ZCRX_CTRL_ARM_EVENT = 2, "7.2",  CONTROL, "report the next event of a type";
}

table! {
    /// What can happen, by the number of its bit.
    ZCRX_EVENTS: Codes, "zcrx event", "ZCRX_EVENT_";
    ZCRX_EVENT_ALLOC_FAIL = 0, "7.2", EVENTS, "no buffer was left for the card";
    ZCRX_EVENT_COPY       = 1, "7.2", EVENTS, "data was copied anyway";
}

table! {
    /// What the kernel reports with an event.
    ZCRX_EVENT_FLAGS: Flags, "zcrx event flag", "ZCRX_EVENT_DESC_FLAG_";
    ZCRX_EVENT_DESC_FLAG_STATS = 1 << 0, "7.2", EVENT_FLAGS, "keep counts at stats_offset of the region";
}
