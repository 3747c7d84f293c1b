//! DNS by its documents: one module for each RFC, asking a real server over real sockets.
//!
//! Nothing here but `server` knows which server that is.

#[path = "dns/ask.rs"]
mod ask;
#[path = "dns/rfc1034.rs"]
mod rfc1034;
#[path = "dns/rfc1035.rs"]
mod rfc1035;
#[path = "dns/rfc2308.rs"]
mod rfc2308;
#[path = "dns/rfc4035.rs"]
mod rfc4035;
#[path = "dns/rfc4592.rs"]
mod rfc4592;
#[path = "dns/rfc4892.rs"]
mod rfc4892;
#[path = "dns/rfc6672.rs"]
mod rfc6672;
#[path = "dns/rfc6891.rs"]
mod rfc6891;
#[path = "dns/rfc7766.rs"]
mod rfc7766;
#[path = "dns/rfc7828.rs"]
mod rfc7828;
#[path = "dns/rfc7871.rs"]
mod rfc7871;
#[path = "dns/rfc7873.rs"]
mod rfc7873;
#[path = "dns/rfc8482.rs"]
mod rfc8482;
#[path = "dns/rfc8914.rs"]
mod rfc8914;
#[path = "dns/rfc9460.rs"]
mod rfc9460;
#[path = "dns/rfc9471.rs"]
mod rfc9471;
#[path = "dns/server.rs"]
mod server;
