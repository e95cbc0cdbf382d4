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

use anyhow::{Context, Result, ensure};
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

/// Listens for Jupyter, as its connection file says.
pub struct Relay {
    connection: Value,
    /// One for each of the ports.
    listeners: Vec<TcpListener>,
}

impl Relay {
    pub fn listen(connection_file: &Path) -> Result<Self> {
        let connection = serde_json::from_str(&fs::read_to_string(connection_file)?)?;
        Self::new(connection).with_context(|| connection_file.display().to_string())
    }

    fn new(connection: Value) -> Result<Self> {
        ensure!(
            connection["transport"] == "tcp",
            "evcxr listens over TCP only: set Jupyter's `KernelManager.transport` to `tcp`"
        );
        let ip = connection["ip"].as_str().context("`ip` is missing")?;
        let listen = |name: &str| {
            let port = connection[name].as_u64().and_then(|port| u16::try_from(port).ok());
            let port = port.with_context(|| format!("`{name}` is missing"))?;
            TcpListener::bind((ip, port)).with_context(|| {
                format!("cannot listen at {ip}:{port}: start the kernel again, so that Jupyter chooses other ports")
            })
        };
        let listeners = PORTS.into_iter().map(listen).collect::<Result<_>>()?;
        Ok(Self { connection, listeners })
    }

    /// Writes a connection file for evcxr, with other ports, and passes on what is sent.
    pub fn start(mut self, for_evcxr: &Path) -> Result<()> {
        let evcxr = self.choose_ports()?;
        // It holds the key with which messages are signed.
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(for_evcxr)?;
        file.write_all(self.connection.to_string().as_bytes())?;
        for (listener, evcxr) in self.listeners.into_iter().zip(evcxr) {
            thread::spawn(move || accept(&listener, evcxr));
        }
        Ok(())
    }

    /// Finds free ports for evcxr, and names them in the connection.
    fn choose_ports(&mut self) -> Result<Vec<SocketAddr>> {
        // All are held until there are enough, so that none is taken twice.
        let held = self.listeners.iter().map(|_| TcpListener::bind((LOCAL, 0))).collect::<io::Result<Vec<_>>>()?;
        let addresses = held.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        self.connection["ip"] = json!(LOCAL);
        for (name, address) in PORTS.iter().zip(&addresses) {
            self.connection[name] = json!(address.port());
        }
        Ok(addresses)
    }
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
        let mut relay = Relay::new(connection).unwrap();
        let chosen = relay.choose_ports().unwrap();
        assert_eq!((&relay.connection["ip"], &relay.connection[PORTS[1]]), (&json!(LOCAL), &json!(chosen[1].port())));

        let evcxr = TcpListener::bind((LOCAL, 0)).unwrap();
        let (port, address) = (relay.listeners[1].local_addr().unwrap().port(), evcxr.local_addr().unwrap());
        thread::spawn(move || accept(&relay.listeners[1], address));
        let mut jupyter = TcpStream::connect((LOCAL, port)).unwrap();
        jupyter.write_all(b"alive?").unwrap();
        let mut evcxr = evcxr.accept().unwrap().0;
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
        let connection = json!({"transport": "tcp", "ip": "127.0.0.1", "shell_port": 0, "control_port": 70_000});
        assert_eq!(Relay::new(connection).err().unwrap().to_string(), "`control_port` is missing");
    }
}
