//! The whole flow on real merchants: import, simulated demand, bundles, the Worker under workerd, messages.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Instant;

use crate::sh::{self, Outcome, program, root, target};
use crate::simulator::{self, AS_OF, MARKET};
use crate::wasm::Weight;
use crate::{setup, test, wasm};

/// Readers of the simulated market.
const USERS: u32 = 20_000;
/// Asked for first, so that the line to try next is usually the same.
const PORT: u16 = 8787;

/// `cargo xtask demo [--once]`.
pub fn run(arguments: &[String]) -> Outcome {
    let once = match arguments {
        [] => false,
        [flag] if flag == "--once" => true,
        _ => return Err("`cargo xtask demo` takes `--once` or nothing".to_owned()),
    };
    let started = Instant::now();
    setup::node()?;
    println!("building the command line and the Worker ...");
    let cli = test::cli()?;
    let worker = wasm::worker(Weight::Full)?;

    let demo = target("demo");
    simulator::market(&cli, "target/demo", USERS, true)?;
    let words = ["campaign", "explain", "title", "campaigns/lunch", "--at", MARKET];
    println!("\n> freshrank {}", words.join(" "));
    print!("{}", sh::logged("demo-explain", program(&cli).args(words))?);

    // The configuration that ships, but for its build, which has just run.
    let config = sh::read(&root().join("wrangler.toml"))?;
    let module = worker.join("index.js");
    let shipped = config.split("\n[env.").next().unwrap_or(&config);
    let lines = shipped.lines().filter(|line| !line.starts_with("command = ") && *line != "[build]");
    let lines = lines.map(|line| {
        if line.starts_with("main = ") {
            format!("main = {:?}\n", module.to_string_lossy())
        } else {
            format!("{line}\n")
        }
    });
    let config = demo.join("wrangler.toml");
    sh::write(&config, lines.collect::<String>())?;

    let port = free_port()?;
    let (rank_key, publish_key, helsinki_key) = (new_key()?, new_key()?, new_key()?);
    let mut wrangler = program("node");
    wrangler.arg(root().join("wasm/node_modules/wrangler/wrangler-dist/cli.js"));
    wrangler.args(["dev", "--local", "--ip", "127.0.0.1", "--port", &port.to_string(), "--log-level", "warn"]);
    wrangler.arg("--show-interactive-dev-session=false").arg("--config").arg(config);
    wrangler.arg("--persist-to").arg(demo.join("kv"));
    wrangler.args(["--var", &format!("RANK_KEY:{rank_key}"), "--var", &format!("PUBLISH_KEY:{publish_key}")]);
    wrangler.args(["--var", &format!("LAYER_KEYS:lunch/fi/helsinki {helsinki_key}")]);
    wrangler.env("CLOUDFLARE_CF_FETCH_ENABLED", "false").env("WRANGLER_SEND_METRICS", "false").env("CI", "1");
    println!("\n> wrangler dev --local, port {port}");
    let mut server = Server::start(wrangler, once)?;

    let mut ask = program("node");
    ask.arg("xtask/demo.mjs").arg(format!("http://127.0.0.1:{port}")).args(["target/demo/out", AS_OF]);
    let asked =
        ask.env("RANK_KEY", rank_key).env("PUBLISH_KEY", publish_key).env("HELSINKI_KEY", &helsinki_key).status();
    if !asked.is_ok_and(|status| status.success()) {
        let log = target("logs/wrangler.log");
        return Err(format!("the Worker did not answer as it should; what it said is in {}", log.display()));
    }
    println!(
        "\nthe demand is simulated, the merchants are real; all of it took {:.0} s",
        started.elapsed().as_secs_f64()
    );
    if !once {
        println!("\nbuilding the simulator ...");
        let page = simulator::page(&demo.join("out"))?;
        let mut beside = simulator::serve(&page, Some(&format!("http://127.0.0.1:{port}")));
        let mut beside = beside.spawn().map_err(|err| format!("cannot serve the simulator: {err}"))?;
        println!("in it, Helsinki's team publishes with the key {helsinki_key}; all of it goes on until ctrl-c");
        server.wait();
        let _ = beside.kill();
        let _ = beside.wait();
    }
    Ok(())
}

/// A key of this run alone: none stands in the tree.
fn new_key() -> Outcome<String> {
    let mut bytes = [0; 16];
    let random = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.map_err(|err| format!("no random numbers: {err}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind(("127.0.0.1", PORT)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|err| format!("no port on the loopback: {err}"))
}

/// wrangler with the workerd it starts; both end with this.
struct Server {
    child: Child,
    /// What ends all of it, for `kill`.
    whom: String,
}

impl Server {
    /// Apart from the terminal's group none of it can be left behind; within, ctrl-c reaches all of it.
    fn start(mut wrangler: Command, apart: bool) -> Outcome<Self> {
        let log = target("logs/wrangler.log");
        let file = std::fs::File::create(&log).map_err(|err| format!("cannot write {}: {err}", log.display()))?;
        let both = file.try_clone().map_err(|err| err.to_string())?;
        if apart {
            wrangler.process_group(0);
        }
        let child = wrangler.stdout(file).stderr(both).spawn();
        let child = child.map_err(|err| format!("cannot run wrangler: {err}"))?;
        let whom = format!("{}{}", if apart { "-" } else { "" }, child.id());
        Ok(Self { child, whom })
    }

    fn wait(&mut self) {
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = program("kill").args(["-TERM", "--", &self.whom]).output();
        let _ = self.child.wait();
    }
}
