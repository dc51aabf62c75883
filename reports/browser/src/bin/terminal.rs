//! What a terminal shows, as a picture: `just screenshots`.
//!
//!     bn-browser-terminal TEXT SVG    the text of a file, with its escapes for colours, as a drawing

use std::path::PathBuf;

use anstyle::RgbColor;
use anstyle_svg::{Palette, Term, VGA};

const GROUND: RgbColor = RgbColor(0x0d, 0x11, 0x17);
const TEXT: RgbColor = RgbColor(0xe6, 0xed, 0xf3);

/// The dark red of old screens can hardly be read on black.
const RED: RgbColor = RgbColor(0xff, 0x7b, 0x72);
const GREEN: RgbColor = RgbColor(0x56, 0xd3, 0x64);
const YELLOW: RgbColor = RgbColor(0xe3, 0xb3, 0x41);

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: bn-browser-terminal TEXT SVG");
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(from)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", from.display()));
    let Palette(mut colours) = VGA;
    (colours[1], colours[2], colours[3]) = (RED, GREEN, YELLOW);
    let term = Term::new().palette(Palette(colours)).fg_color(TEXT.into()).bg_color(GROUND.into());
    // Dimmed to two fifths, as the crate draws it, text has too little contrast.
    let svg =
        term.render_svg(text.trim_end()).replace(".dimmed { opacity: 0.4; }", ".dimmed { opacity: 0.7; }");
    std::fs::write(to, &svg).unwrap_or_else(|error| panic!("{} cannot be written: {error}", to.display()));
    println!("{}: {} bytes", to.display(), svg.len());
}
