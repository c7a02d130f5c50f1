//! An objective that wants the network: it names a host, connects to it, and speaks.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use trialbox_guest::{Result, Trial, objective};

/// Its value is the port that answers.
#[objective(minimize)]
pub fn dialer(_trial: &mut Trial) -> Result<f64> {
    let mut stream = TcpStream::connect("localhost:80")?;
    stream.write_all(b"what I have seen")?;
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"and more of it", "localhost:53")?;
    Ok(f64::from(stream.peer_addr()?.port()))
}
