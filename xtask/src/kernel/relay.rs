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

/// The ports that a connection file names.
const PORTS: [&str; 5] = ["shell_port", "control_port", "hb_port", "iopub_port", "stdin_port"];
/// Where evcxr listens, wherever Jupyter connects from.
const LOCAL: &str = "127.0.0.1";
/// How often to look whether evcxr listens.
const INTERVAL: Duration = Duration::from_millis(5);
/// How long evcxr may take to answer a connection that Jupyter has closed: at a start it loads much first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Listens where Jupyter's connection file says, and writes one for evcxr, which says where evcxr shall listen.
pub fn start(for_jupyter: &Path, for_evcxr: &Path) -> Result<()> {
    let mut connection = serde_json::from_str(&fs::read_to_string(for_jupyter)?)?;
    let relays = listen(&mut connection).with_context(|| for_jupyter.display().to_string())?;
    // It holds the key with which messages are signed.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(for_evcxr)?;
    file.write_all(connection.to_string().as_bytes())?;
    for (jupyter, evcxr) in relays {
        thread::spawn(move || accept(&jupyter, evcxr));
    }
    Ok(())
}

/// Listens on Jupyter's ports, and puts others, which are free, into the connection.
fn listen(connection: &mut Value) -> Result<Vec<(TcpListener, SocketAddr)>> {
    if connection["transport"] != "tcp" {
        return Ok(Vec::new());
    }
    let ip = connection["ip"].as_str().context("`ip` is missing")?.to_string();
    let bind = |ip: &str, port| TcpListener::bind((ip, port)).with_context(|| format!("cannot listen at {ip}:{port}"));
    let port = |name: &str| connection[name].as_u64().and_then(|port| u16::try_from(port).ok());
    let ports = PORTS.map(|name| port(name).with_context(|| format!("`{name}` is missing")));
    let jupyter = ports.into_iter().map(|port| bind(&ip, port?)).collect::<Result<Vec<_>>>()?;
    // All are held until there are enough, so that none is taken twice.
    let evcxr = PORTS.into_iter().map(|_| bind(LOCAL, 0)).collect::<Result<Vec<_>>>()?;
    let evcxr = evcxr.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    connection["ip"] = json!(LOCAL);
    for (name, address) in PORTS.iter().zip(&evcxr) {
        connection[name] = json!(address.port());
    }
    Ok(jupyter.into_iter().zip(evcxr).collect())
}

fn accept(jupyter: &TcpListener, evcxr: SocketAddr) {
    for connection in jupyter.incoming() {
        match connection {
            // One that fails is closed, as it would be without a relay.
            Ok(jupyter) => drop(thread::spawn(move || relay(jupyter, connect(evcxr)))),
            // Too many files may be open.
            Err(_) => thread::sleep(INTERVAL),
        }
    }
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
        let mut connection = json!({"transport": "tcp", "ip": "0.0.0.0", "key": "k"});
        for name in PORTS {
            connection[name] = json!(0);
        }
        let mut relays = listen(&mut connection).unwrap();
        assert_eq!(connection["ip"], LOCAL);
        for ((_, evcxr), name) in relays.iter().zip(PORTS) {
            assert_eq!(connection[name], evcxr.port());
        }
        let (listener, address) = relays.remove(1);
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || accept(&listener, address));

        // Jupyter may connect before evcxr listens.
        let mut jupyter = TcpStream::connect(("127.0.0.1", port)).unwrap();
        jupyter.write_all(b"alive?").unwrap();
        let mut evcxr = TcpListener::bind(address).unwrap().accept().unwrap().0;
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
    }

    #[test]
    fn a_connection_without_ports_is_refused_by_name() {
        let mut connection = json!({"transport": "tcp", "ip": "127.0.0.1", "shell_port": 0, "control_port": 70_000});
        assert_eq!(listen(&mut connection).unwrap_err().to_string(), "`control_port` is missing");
        // Over files of the system, evcxr listens where Jupyter says.
        let files = json!({"transport": "ipc", "ip": "/tmp/kernel", "shell_port": 1});
        let mut connection = files.clone();
        assert!(listen(&mut connection).unwrap().is_empty());
        assert_eq!(connection, files);
    }
}
