//! Connections between Jupyter and evcxr that evcxr does not lose.
//!
//! When a kernel has started, and whenever a notebook is opened, Jupyter's server asks the kernel for a sign of life, over
//! connections that it closes at the first answer. evcxr ends, or answers no more, if one is closed that it is about to
//! answer. So Jupyter connects to the launcher, which passes on what both send, and keeps evcxr's side open.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use serde_json::{Value, json};

/// The channels over which evcxr answers.
const CHANNELS: [&str; 3] = ["shell_port", "control_port", "hb_port"];
/// How often to look whether evcxr listens.
const INTERVAL: Duration = Duration::from_millis(5);
/// How long evcxr may take to answer a connection that Jupyter has closed: at a start it loads much first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens where Jupyter's connection file says, and writes one for evcxr, which says where evcxr shall listen.
pub fn start(for_jupyter: &Path, for_evcxr: &Path) -> Result<()> {
    let text = fs::read_to_string(for_jupyter)?;
    let mut connection: Value = serde_json::from_str(&text)?;
    let mut relays = Vec::new();
    if connection["transport"] == "tcp" {
        let ip = connection["ip"].as_str().context("the connection file names no ip")?.to_string();
        for channel in CHANNELS {
            let port = connection[channel].as_u64().and_then(|port| u16::try_from(port).ok());
            let address = (ip.as_str(), port.with_context(|| format!("the connection file names no {channel}"))?);
            let jupyter = TcpListener::bind(address).with_context(|| format!("cannot listen at {address:?}"))?;
            // Held until there are all, so that none is taken twice.
            let evcxr = TcpListener::bind((ip.as_str(), 0))?;
            connection[channel] = json!(evcxr.local_addr()?.port());
            relays.push((jupyter, evcxr));
        }
    }
    // It holds the key with which messages are signed.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(for_evcxr)?;
    file.write_all(connection.to_string().as_bytes())?;
    for (jupyter, evcxr) in relays {
        let evcxr = evcxr.local_addr()?;
        thread::spawn(move || {
            for jupyter in jupyter.incoming() {
                match jupyter {
                    // A connection that fails is closed, as it would be without a relay.
                    Ok(jupyter) => drop(thread::spawn(move || relay(jupyter, connect(evcxr)))),
                    // Too many files may be open.
                    Err(_) => thread::sleep(INTERVAL),
                }
            }
        });
    }
    Ok(())
}

/// Connects to evcxr as soon as it listens.
fn connect(evcxr: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(evcxr) {
            Ok(stream) => return stream,
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}

fn relay(mut jupyter: TcpStream, mut evcxr: TcpStream) -> io::Result<()> {
    jupyter.set_nodelay(true)?;
    evcxr.set_nodelay(true)?;
    let (mut answers, mut to_jupyter) = (evcxr.try_clone()?, jupyter.try_clone()?);
    thread::spawn(move || {
        // Ends when evcxr has closed its side, or when an answer finds Jupyter's closed. Then nobody reads what comes.
        let _ = io::copy(&mut answers, &mut to_jupyter);
        let _ = to_jupyter.shutdown(Shutdown::Both);
        io::copy(&mut answers, &mut io::sink())
    });
    let _ = io::copy(&mut jupyter, &mut evcxr);
    thread::sleep(PATIENCE);
    evcxr.shutdown(Shutdown::Both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn evcxr_can_answer_a_connection_that_jupyter_has_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (for_jupyter, for_evcxr) = (folder.path().join("jupyter.json"), folder.path().join("evcxr.json"));
        // Ports that are free now.
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.map(|listener| listener.local_addr().unwrap().port());
        let connection = json!({
            "shell_port": ports[0], "control_port": ports[1], "hb_port": ports[2], "iopub_port": 1,
            "transport": "tcp", "ip": "127.0.0.1", "key": "k",
        });
        fs::write(&for_jupyter, connection.to_string()).unwrap();
        start(&for_jupyter, &for_evcxr).unwrap();

        // Jupyter may connect before evcxr listens.
        let mut jupyter = TcpStream::connect(("127.0.0.1", ports[1])).unwrap();
        jupyter.write_all(b"alive?").unwrap();
        let mut of_evcxr: Value = serde_json::from_str(&fs::read_to_string(&for_evcxr).unwrap()).unwrap();
        let port = of_evcxr["control_port"].as_u64().unwrap() as u16;
        let mut evcxr = TcpListener::bind(("127.0.0.1", port)).unwrap().accept().unwrap().0;
        let mut word = [0; 6];
        evcxr.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"alive?");
        evcxr.write_all(b"alive!").unwrap();
        jupyter.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"alive!");

        drop(jupyter);
        for _ in 0..100 {
            evcxr.write_all(b"alive!").unwrap();
            thread::sleep(Duration::from_millis(1));
        }

        // All else is as it was.
        for (channel, port) in CHANNELS.iter().zip(ports) {
            assert_ne!(of_evcxr[channel], port);
            of_evcxr[channel] = json!(port);
        }
        assert_eq!(of_evcxr, connection);
    }
}
