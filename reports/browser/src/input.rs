//! Keys and mouse, as a person uses them: events that the browser itself makes, not scripts.

use serde_json::{Value, json};

use crate::page::{Page, js};

const SHIFT: u32 = 8;
const CONTROL: u32 = 2;

/// A key as the protocol wants it: its name, its place on the keyboard, its number, what it types.
struct Key {
    name: String,
    code: String,
    number: u32,
    types: Option<String>,
}

fn key_named(name: &str) -> Key {
    let named = |number, types: Option<&str>| Key {
        name: name.to_owned(),
        code: name.to_owned(),
        number,
        types: types.map(str::to_owned),
    };
    match name {
        "Tab" => named(9, None),
        "Enter" => named(13, Some("\r")),
        "Escape" => named(27, None),
        "PageUp" => named(33, None),
        "PageDown" => named(34, None),
        "End" => named(35, None),
        "Home" => named(36, None),
        "ArrowLeft" => named(37, None),
        "ArrowUp" => named(38, None),
        "ArrowRight" => named(39, None),
        "ArrowDown" => named(40, None),
        "Backspace" => named(8, None),
        "Delete" => named(46, None),
        "Space" => Key { name: " ".to_owned(), ..named(32, Some(" ")) },
        "/" | "?" => Key { code: "Slash".to_owned(), ..named(191, Some(name)) },
        _ => {
            let mut letters = name.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => {
                    let upper = letter.to_ascii_uppercase();
                    Key { code: format!("Key{upper}"), ..named(u32::from(upper), Some(name)) }
                }
                _ => panic!("{name} is no key that is known here"),
            }
        }
    }
}

impl Page {
    /// Presses a key: `Tab`, `ArrowDown`, `n`, `Shift+Tab`, `Control+a`.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let (mut modifiers, mut name) = (0, keys);
        if let Some(rest) = name.strip_prefix("Control+") {
            (modifiers, name) = (modifiers | CONTROL, rest);
        }
        if let Some(rest) = name.strip_prefix("Shift+") {
            (modifiers, name) = (modifiers | SHIFT, rest);
        }
        if name == "?" {
            modifiers |= SHIFT;
        }
        let Key { name: key, code, number, types } = key_named(name);
        let mut event = json!({
            "modifiers": modifiers, "key": key, "code": code,
            "windowsVirtualKeyCode": number, "nativeVirtualKeyCode": number,
        });
        let mut down = event.clone();
        down["type"] = "rawKeyDown".into();
        match (types, modifiers & CONTROL) {
            (Some(types), 0) => {
                down["type"] = "keyDown".into();
                down["text"] = types.into();
            }
            // What a desktop makes of the key; without one the browser has to be told.
            (_, CONTROL) if name == "a" => down["commands"] = json!(["selectAll"]),
            (_, CONTROL) if name == "v" => down["commands"] = json!(["paste"]),
            _ => {}
        }
        self.call("Input.dispatchKeyEvent", down);
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Puts a whole text where the keys go, as pasting does.
    #[track_caller]
    pub fn insert(&self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Types a text, letter by letter.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        for letter in text.chars() {
            if letter.is_ascii_alphabetic() {
                self.press(&letter.to_string());
            } else {
                self.insert(&letter.to_string());
            }
        }
    }

    /// Clicks on the middle of the first element that matches, which is scrolled into view.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let (x, y) = self.point_of(selector, 0.5, 0.5);
        self.click_at(x, y);
    }

    /// Clicks on a place of the window.
    pub fn click_at(&self, x: f64, y: f64) {
        self.move_mouse(x, y);
        for kind in ["mousePressed", "mouseReleased"] {
            self.mouse(
                json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}),
            );
        }
    }

    /// Moves the mouse to a place of the window.
    pub fn move_mouse(&self, x: f64, y: f64) {
        self.mouse(json!({"type": "mouseMoved", "x": x, "y": y}));
    }

    fn mouse(&self, event: Value) {
        self.call("Input.dispatchMouseEvent", event);
    }

    /// A place of the first element that matches, by parts of its width and height, after it was scrolled into view.
    #[track_caller]
    pub fn point_of(&self, selector: &str, across: f64, down: f64) -> (f64, f64) {
        self.wait_until_there(selector);
        self.get(&format!(
            "(() => {{
                const element = document.querySelector({});
                element.scrollIntoView({{block: 'center', inline: 'nearest', behavior: 'instant'}});
                const box = element.getBoundingClientRect();
                if (!box.width || !box.height) throw new Error('it cannot be seen');
                return [box.left + {across} * box.width, box.top + {down} * box.height];
            }})()",
            js(selector)
        ))
    }
}
