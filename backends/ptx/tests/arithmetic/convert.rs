//! Conversions, against the exact value.

use crate::exact::{Exact, Format, Number, format};
use crate::values::{cut, finish, floats, integer, limits, noise, register, width, words};
use crate::{Case, Row};

const WHOLE: [&str; 8] = ["s8", "s16", "s32", "s64", "u8", "u16", "u32", "u64"];
const TO_WHOLE: [&str; 4] = ["rni", "rzi", "rmi", "rpi"];
const DIRECTIONS: [&str; 4] = ["rn", "rz", "rm", "rp"];

/// Values of a type, one a row.
fn rows(of: &str) -> Vec<Row> {
    let mut list = match of {
        "f16" | "bf16" => (0..=0xffff).step_by(11).chain([0x7c00, 0xfc00, 0x7f80, 0xff80, 0x8000]).collect(),
        "f32" | "f64" => floats(of),
        _ => words(),
    };
    if of == "f32" || of == "f64" {
        // Halves, and the neighbourhood of each limit of an integer and of each half-precision number of note.
        let mut near: Vec<f64> = (-9..10).map(|half| f64::from(half) / 2.0).collect();
        for power in [7, 8, 10, 11, 15, 16, 24, 31, 32, 53, 63, 64, -14, -15, -24, -25, -126, -133, -134] {
            let x = 2f64.powi(power);
            near.extend([
                x,
                x - 0.5,
                x + 0.5,
                x - 1.0,
                x * (1.0 + 2f64.powi(-11)),
                x * (1.0 + 2f64.powi(-8)),
            ]);
            near.extend([x * (1.0 + 3.0 * 2f64.powi(-11)), x * (1.0 + 3.0 * 2f64.powi(-9)), x * 1.75]);
        }
        near.extend([65504.0, 65519.0, 65519.99, 65520.0, 65536.0, 3.39e38, 3.40e38]);
        for x in near.iter().flat_map(|&x| [x, -x]) {
            for step in [-1, 0, 1] {
                list.push(if of == "f64" {
                    x.to_bits().wrapping_add_signed(step)
                } else {
                    u64::from((x as f32).to_bits().wrapping_add_signed(step as i32))
                });
            }
        }
        list.extend(noise(400, 3).iter().map(|&bits| cut(bits, width(of))));
        // Of a size that halves and integers have.
        list.extend(noise(400, 5).iter().map(|&bits| {
            let x = (bits >> 11) as f64 / 2f64.powi(53) * 2f64.powi((bits % 96) as i32 - 30);
            if of == "f64" { x.to_bits() } else { u64::from((x as f32).to_bits()) }
        }));
    } else if of.starts_with(['s', 'u']) {
        list.extend(noise(300, 9).iter().map(|bits| bits >> (bits % 64)));
        for power in [11, 24, 53] {
            for step in 0..4 {
                list.extend((power..64).map(|top| (1 << top) + (step << (top - power)) / 2));
            }
        }
    }
    list.into_iter().map(|bits| [bits, 0, 0]).collect()
}

/// To an integer: what is not a number gives 0, or from f64 and to 64 bits the integer of the highest bit alone.
fn to_integer(to: &str, from: &str, mode: &str, bits: u64) -> i128 {
    let (least, most) = limits(to);
    match format(from).read(cut(bits, width(from))) {
        Number::Nan if from == "f64" || width(to) == 64 => {
            if to.starts_with('s') {
                least
            } else {
                1 << (width(to) - 1)
            }
        }
        Number::Nan => 0,
        Number::Infinite(negative) => {
            if negative {
                least
            } else {
                most
            }
        }
        Number::Finite(exact) => exact.whole(mode).within(least, most),
    }
}

fn to_float(to: Format, number: Number, sat: bool, mode: &str) -> u64 {
    match number {
        Number::Nan if sat => 0,
        Number::Nan => to.nan(),
        Number::Infinite(negative) if sat => to.round(&Exact::integer(i128::from(!negative)), "rn"),
        Number::Infinite(negative) => to.infinite(negative),
        Number::Finite(exact) => to.round(&if sat { exact.saturated() } else { exact }, mode),
    }
}

/// To a register of the type's width, and of 64 bits where the sign is spread.
fn whole_cases(
    cases: &mut Vec<Case>,
    opcode: &str,
    (to, from): (&'static str, &'static str),
    expected: impl Fn(u64) -> i128 + Clone + 'static,
) {
    let value = register(from, 1);
    for of in [to, "b64"] {
        let body = format!("{opcode} {}, {value};\n{}", register(of, 4), finish(of));
        let expected = expected.clone();
        let bits = width(of).max(16);
        cases.push(Case::of_rows(
            opcode,
            body,
            move || rows(from),
            move |[a, _, _]| cut(expected(a) as u64, bits),
        ));
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for sat in ["", ".sat"] {
        let saturates = !sat.is_empty();
        for to in WHOLE {
            for from in WHOLE {
                let opcode = format!("cvt{sat}.{to}.{from}");
                whole_cases(&mut cases, &opcode, (to, from), move |bits| {
                    let (value, (least, most)) = (integer(from, bits), limits(to));
                    if saturates { value.clamp(least, most) } else { integer(to, value as u64) }
                });
            }
            for from in ["f16", "f32", "f64"] {
                for mode in TO_WHOLE {
                    let opcode = format!("cvt.{mode}{sat}.{to}.{from}");
                    whole_cases(&mut cases, &opcode, (to, from), move |bits| {
                        to_integer(to, from, mode, bits)
                    });
                }
            }
        }
        for from in WHOLE {
            for (to, modes) in [("f16", &DIRECTIONS[..1]), ("f32", &DIRECTIONS), ("f64", &DIRECTIONS)] {
                for &mode in modes {
                    let opcode = format!("cvt.{mode}{sat}.{to}.{from}");
                    cases.push(Case::map(
                        &opcode,
                        to,
                        &[from],
                        move || rows(from),
                        move |[a, _, _]| {
                            let exact = Exact::integer(integer(from, a));
                            to_float(format(to), Number::Finite(exact), saturates, mode)
                        },
                    ));
                }
            }
        }
        let mut float = |modifier: &str, mode: &'static str, to: &'static str, from: &'static str| {
            let opcode = format!("cvt{modifier}{sat}.{to}.{from}");
            cases.push(Case::map(
                &opcode,
                to,
                &[from],
                move || rows(from),
                move |[a, _, _]| {
                    let number = match format(from).read(cut(a, width(from))) {
                        Number::Finite(exact) if mode.len() == 3 => Number::Finite(exact.whole(mode)),
                        number => number,
                    };
                    to_float(format(to), number, saturates, if mode.len() == 3 { "rn" } else { mode })
                },
            ));
        };
        for of in ["f16", "f32", "f64"] {
            float("", "rn", of, of);
            for mode in TO_WHOLE {
                float(&format!(".{mode}"), mode, of, of);
            }
        }
        for (to, from) in [("f64", "f32"), ("f32", "f16"), ("f64", "f16"), ("f32", "bf16")] {
            float("", "rn", to, from);
        }
        for mode in DIRECTIONS {
            float(&format!(".{mode}"), mode, "f32", "f64");
        }
        float(".rn", "rn", "f16", "f32");
        float(".rn", "rn", "bf16", "f32");
        if !saturates {
            float(".rn", "rn", "f16", "f64");
        }
    }
    cases
}

#[test]
fn every_half_converts_to_single_and_back() {
    let rows: Vec<Row> = (0..=0xffff).map(|bits| [bits, 0, 0]).collect();
    for (of, infinity) in [("f16", 0x7c00), ("bf16", 0x7f80)] {
        let body = format!("cvt.f32.{of} %f4, %h1;\ncvt.rn.{of}.f32 %h4, %f4;\ncvt.u64.u16 %rd4, %h4;");
        for ([a, _, _], got) in rows.iter().zip(crate::support::compute(&body, &rows)) {
            assert_eq!(got, if a & 0x7fff > infinity { 0x7fff } else { *a }, "{of} {a:#x}");
        }
    }
}
