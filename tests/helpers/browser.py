"""A page as Chromium shows it, driven through chromedriver by the WebDriver protocol."""

import contextlib
import json
import re
import shutil
import subprocess
import urllib.request

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
)


class Browser:
    """A session of a driver that listens on a port."""

    def __init__(self, port, profile):
        self._address = f"http://127.0.0.1:{port}/session"
        options = {"binary": CHROMIUM, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        session = self._call("POST", "", capabilities={"alwaysMatch": capabilities})["sessionId"]
        self._address += f"/{session}"
        self.open("about:blank")
        self._log("performance")  # of the page that it began with

    def open(self, url, width=1200, scheme="light"):
        """Shows a page in a window so wide, light or dark."""
        self._command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self._command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("POST", "/url", url=url)

    def value(self, expression):
        """What an expression of JavaScript is in the page."""
        return self._call("POST", "/execute/sync", script=f"return {expression}", args=[])

    def requested(self):
        """URLs that were asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def messages(self):
        """What the console says: errors, refused requests."""
        return [entry["message"] for entry in self._log("browser")]

    def close(self):
        self._call("DELETE", "")

    def _log(self, kind):
        return self._call("POST", "/se/log", type=kind)

    def _command(self, command, **parameters):
        return self._call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def _call(self, method, path, **content):
        body = json.dumps(content).encode() if method == "POST" else None
        request = urllib.request.Request(
            self._address + path, body, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)["value"]


@contextlib.contextmanager
def started_browser(profile):
    """A `Browser` with a new profile in this folder."""
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = next(match[1] for line in driver.stdout if (match := re.search(r"on port (\d+)\.", line)))
        browser = Browser(port, profile)
        yield browser
        browser.close()
    finally:
        driver.terminate()
        driver.communicate()
