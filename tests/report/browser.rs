//! The page in a browser that cannot reach anything: skipped, with a line that says so, where there is none.

use super::fixture;
use super::small::striate;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Looks at every figure and writes what is wrong into the document, a line each.
const PROBE: &str = include_str!("probe.js");

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    std::env::split_paths(&path)
        .flat_map(|p| names.map(|n| p.join(n)))
        .find(|p| p.is_file())
}

/// What the probe says of a page in a window of this width, and what the console holds.
fn look(browser: &Path, folder: &Path, page: &Path, width: usize) -> Option<String> {
    let log = fs::File::create(folder.join("log")).unwrap();
    let dom = fs::File::create(folder.join("dom")).unwrap();
    let mut child = Command::new(browser)
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("--window-size={width},900"))
        // Whatever it would ask for, it gets nothing.
        .args([
            "--proxy-server=127.0.0.1:9",
            "--disable-background-networking",
            "--no-first-run",
        ])
        .arg(format!("file://{}", page.display()))
        .stdout(dom)
        .stderr(log)
        .spawn()
        .ok()?;
    let started = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let dom = fs::read_to_string(folder.join("dom")).ok()?;
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let console: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
    assert!(console.is_empty(), "{console:?}");
    let said = dom.split("<pre id=\"probe\">").nth(1)?;
    Some(said.split("</pre>").next()?.to_string())
}

#[test]
fn a_browser_shows_every_figure_whole_and_asks_for_nothing() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium on this machine");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = fixture::full(folder.path());
    fixture::consistent(&run);
    striate(folder.path(), "report run").ok();
    let html = fs::read_to_string(run.join("report.html")).unwrap();
    let figures = html.matches("<figure ").count();
    // First of all scripts, so that it sees what they do.
    let probed = html.replacen("<style>", &format!("<script>{PROBE}</script>\n<style>"), 1);
    let page = run.join("probed.html");
    fs::write(&page, &probed).unwrap();
    // A window is never as narrow as a telephone; a frame in it is.
    let narrow = run.join("narrow.html");
    let inner = probed.replace('&', "&amp;").replace('"', "&quot;");
    let frame = format!(
        "<!doctype html><iframe style=\"width:400px;height:900px;border:0\" srcdoc=\"{inner}\"></iframe>"
    );
    fs::write(&narrow, frame).unwrap();
    for (page, width) in [(&page, 1280), (&narrow, 400)] {
        let Some(said) = look(&browser, folder.path(), page, width.max(500)) else {
            println!("skipped: {} does not run here", browser.display());
            return;
        };
        assert_eq!(said, format!("figures {figures} at {width}"));
    }
}
