//! An objective that tries to use the network: it resolves a host, connects to it and sends data.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use trialbox_guest::{Result, Trial, objective};

/// Returns the port that answers.
#[objective(minimize)]
pub fn dialer(_trial: &mut Trial) -> Result<f64> {
    let mut stream = TcpStream::connect("localhost:80")?;
    stream.write_all(b"what I have seen")?;
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"and more of it", "localhost:53")?;
    Ok(f64::from(stream.peer_addr()?.port()))
}
