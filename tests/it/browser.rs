//! The page of `study report` in a real browser, opened from a file with no network.
//!
//! Chromium is driven through a pipe (`--remote-debugging-pipe`), so nothing but the standard library is needed.

use crate::scene::{Scene, guest};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A browser with one page.
struct Browser {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: String,
    next: u64,
    /// Events that arrived while answers were awaited.
    events: Vec<Value>,
}

impl Browser {
    fn start(scene: &Scene) -> Self {
        let profile = scene.path("profile").display().to_string();
        let mut command = Command::new("sh");
        // The browser reads requests from descriptor 3 and answers to descriptor 4.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 1>&2", "sh", "chromium"]);
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
        ]);
        command.args([
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ]);
        command.arg(format!("--user-data-dir={profile}")).env("HOME", scene.path("home"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (requests, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut browser = Browser {
            child,
            requests,
            answers: BufReader::new(answers),
            session: String::new(),
            next: 0,
            events: Vec::new(),
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Calls a method of the protocol and returns its result.
    #[track_caller]
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut request = json!({ "id": self.next, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.read();
            if answer["id"] == self.next {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    #[track_caller]
    fn read(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&message).unwrap()
    }

    /// Opens a file and waits until it is loaded.
    fn open(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", &json!({ "url": url }));
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let event = self.read();
            self.events.push(event);
        }
    }

    /// Evaluates an expression in the page.
    #[track_caller]
    fn evaluate(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.call("Runtime.evaluate", &params);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].take()
    }

    fn key(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let code = if key == "Enter" { 13 } else { 0 };
            let params = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", &params);
        }
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64)) {
        let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", &params);
    }

    /// Chooses a viewport and a colour scheme.
    fn look(&mut self, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Returns the events that a page which requests nothing and has no error does not cause.
    fn faults(&self, url: &str) -> Vec<&Value> {
        let is_fault = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded" => true,
            "Network.requestWillBeSent" => {
                event["params"]["request"]["url"].as_str() != Some(url.split('#').next().unwrap())
            }
            _ => false,
        };
        self.events.iter().filter(is_fault).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a study with failures and pruned trials, and returns the address of its page.
fn reported(scene: &Scene) -> String {
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "--storage", "study.db", "-n", "30", "--seed", "1"]);
    for command in [&["trial", "ask"][..], &["trial", "tell", "30", "--state", "fail"]] {
        scene.json(&[command, &["--storage", "study.db"]].concat());
    }
    scene.json(&["study", "report", "--storage", "study.db", "--output", "page.html"]);
    format!("file://{}", scene.path("page.html").canonicalize().unwrap().display())
}

#[test]
fn a_page_works_from_a_file_without_a_request_or_an_error() {
    let scene = Scene::new("browser");
    let url = reported(&scene);
    let mut browser = Browser::start(&scene);
    for (width, scheme) in [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")] {
        browser.look(width, scheme);
        browser.open(&url);
        // Nothing but what scrolls by itself is wider than the window.
        let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
        assert!(overflow.as_f64().unwrap() <= 0.0, "{width}: {overflow}");
        assert_eq!(browser.faults(&url), Vec::<&Value>::new(), "{width} {scheme}");
    }
    assert_eq!(browser.evaluate("fetch('http://127.0.0.1:9/').then(() => 1, () => 0)"), json!(0));
}

#[test]
fn a_page_sorts_filters_brushes_and_obeys_the_keyboard() {
    let scene = Scene::new("browser-script");
    let url = reported(&scene);
    let mut browser = Browser::start(&scene);
    browser.look(1440, "light");
    browser.open(&url);

    browser.evaluate("document.querySelectorAll('#table th button')[2].click()");
    let values = "[...document.querySelectorAll('#table tbody tr')].map((row) => row.cells[2].textContent.trim())";
    let sorted = browser.evaluate(values);
    let mut numbers: Vec<f64> =
        sorted.as_array().unwrap().iter().filter_map(|text| text.as_str()?.parse().ok()).collect();
    assert!(numbers.len() == 30 && numbers.is_sorted(), "{sorted}");
    browser.evaluate("document.querySelectorAll('#table th button')[2].click()");
    let descending = browser.evaluate(values);
    numbers.reverse();
    assert_eq!(descending[0].as_str().unwrap().parse::<f64>().unwrap(), numbers[0]);
    assert_eq!(descending[30], json!(""), "a failed trial has no value and comes last");

    browser.evaluate("filter.value = 'FAIL'; filter.dispatchEvent(new Event('input'))");
    assert_eq!(browser.evaluate("shown.textContent"), json!("1 of 31 shown"));
    browser.evaluate("filter.value = ''; filter.dispatchEvent(new Event('input'))");

    // The keyboard steps through the trials of a plot and opens one.
    browser.evaluate("document.querySelector('#history .scroll').focus()");
    browser.key("ArrowRight");
    let tip = browser.evaluate("document.getElementById('tip').textContent");
    assert!(tip.as_str().unwrap().starts_with("trial 0"), "{tip}");
    browser.key("Enter");
    assert_eq!(browser.evaluate("document.getElementById('record').open"), json!(true));
    let record = browser.evaluate("document.getElementById('record').textContent");
    assert!(record.as_str().unwrap().contains("trialbox trial show"), "{record}");
    browser.evaluate("document.getElementById('record').close()");

    // A range on an axis keeps the lines through it, and the rows of their trials.
    let axis = "(() => { const axis = document.querySelector('.brush'); axis.scrollIntoView({ block: 'center' });
        const box = axis.getBoundingClientRect(); return [box.x + box.width / 2, box.y, box.height]; })()";
    let axis = browser.evaluate(axis);
    let (x, y, height) =
        (axis[0].as_f64().unwrap(), axis[1].as_f64().unwrap(), axis[2].as_f64().unwrap());
    browser.mouse("mousePressed", (x, y + 1.0));
    browser.mouse("mouseMoved", (x, y + height / 2.0));
    browser.mouse("mouseReleased", (x, y + height / 2.0));
    let faint = browser.evaluate("document.querySelectorAll('.curve.faint').length");
    let shown = browser.evaluate("document.getElementById('shown').textContent");
    assert!((1..30).contains(&faint.as_u64().unwrap()), "{faint} lines are faint");
    assert!(shown.as_str().unwrap().ends_with(" of 31 shown"), "{shown}");
    assert_eq!(browser.faults(&url), Vec::<&Value>::new());
}
