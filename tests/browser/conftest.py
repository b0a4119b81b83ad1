"""A widget's script on a page, and the kernel that it speaks with."""

import pytest


class WidgetPage:
    """One widget's script on an empty page, and a stand-in for the kernel that hears and speaks."""

    ADDRESS = "http://widget.test/"
    PAGE = """<!doctype html><html lang="en"><title>widget</title>
    <body style="margin:0; --cacnb-height: 100vh"><div id="el"></div>"""
    START = """([script, style, traits]) => {
      document.head.append(Object.assign(document.createElement("style"), {textContent: style}));
      const url = URL.createObjectURL(new Blob([script], {type: "text/javascript"}));
      return import(url).then((module) => {
        window.heard = []; window.kernel = true;
        const listeners = [];
        window.speak = (message, buffers = []) =>
          listeners.forEach((hear) => hear(message, buffers.map((bytes) =>
            new DataView(Uint8Array.from(bytes).buffer))));
        const model = {
          get: (name) => traits[name], on: (_, hear) => listeners.push(hear), off: () => {},
          send: (message) => {
            if (!window.kernel) throw new Error("Cannot send");
            window.heard.push(message);
          },
        };
        module.default.render({model, el: document.getElementById("el")});
        window.widget = document.getElementById("el").cacnb;
      });
    }"""

    def __init__(self, context, name, traits, folder):
        from cacnb.ui.javascript import module, style

        self.context, self.traits = context, {"title": "Test", **traits}
        self.script = module(name, folder) if folder else module(name)
        self.style = style()
        if folder and (own := folder / f"{name}.css").is_file():
            self.style += own.read_text(encoding="utf-8")
        self.page = context.new_page()
        self.page.route(
            self.ADDRESS, lambda route: route.fulfill(body=self.PAGE, content_type="text/html")
        )
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.open()

    def open(self):
        self.page.goto(self.ADDRESS)
        self.page.evaluate(self.START, [self.script, self.style, self.traits])

    def speak(self, message, buffers=()):
        self.page.evaluate("([m, b]) => speak(m, b)", [message, [list(data) for data in buffers]])

    def show(self, picture, **more):
        message, buffers = picture.message()
        self.speak({"type": "picture", **message, **more}, buffers)

    def heard(self, kind):
        return self.page.evaluate("kind => heard.filter(m => m.type === kind)", kind)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def get(self, script):
        return self.page.evaluate(script)


@pytest.fixture
def widget_page(browser):
    """Opens a widget's script by the name of its file, in a browser that keeps what it stored."""
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    pages = []

    def open_widget(name, traits=None, folder=None):
        pages.append(WidgetPage(context, name, traits or {}, folder))
        return pages[-1]

    yield open_widget
    errors = [error for page in pages for error in page.errors]
    context.close()
    assert errors == []


@pytest.fixture
def faint_text():
    """WCAG AA: the elements with text of their own that stand out by less than 4.5 to 1."""

    def find(page, selector="*"):
        return page.evaluate(
            """selector => {
              const part = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
              const numbers = css => css.match(/[\\d.]+/g).map(Number);
              const ground = e => {
                for (; e; e = e.parentElement) {
                  const rgba = numbers(getComputedStyle(e).backgroundColor);
                  if (rgba.length === 3 || rgba[3] > 0) return rgba;
                }
                return [255, 255, 255];
              };
              const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
              return [...document.body.querySelectorAll(selector)].filter(own).filter(e => {
                const pair = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
                return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
              }).map(e => e.outerHTML.slice(0, 80));
            }""",
            selector,
        )

    return find
