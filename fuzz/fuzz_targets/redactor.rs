//! Any values, planted in any text in encodings that are written here anew, cut anywhere: what comes out is what comes
//! out uncut, and no value stands in it.
#![no_main]

use claude_secrets::mask::{Plan, Redactor};
use libfuzzer_sys::fuzz_target;

type Piece = (u8, u8, Vec<u8>);

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Piece>, Vec<u8>)| {
    let (mut values, pieces, cuts) = input;
    values.truncate(4);
    values.iter_mut().for_each(|value| value.truncate(200));
    let names = ["A", "B", "C", "D"];
    let plan = Plan::new(names.into_iter().zip(values.iter().map(Vec::as_slice)));
    let redactor = Redactor::new(&plan);
    let refused: Vec<&str> = plan.unmaskable().into_iter().map(|(name, _)| name).collect();

    let mut text = Vec::new();
    let mut planted = Vec::new();
    for (which, encoding, filler) in pieces.iter().take(40) {
        text.extend_from_slice(&filler[..filler.len().min(64)]);
        let Some(value) = values.get(usize::from(*which) % 5) else { continue };
        let form = encoded(value, *encoding);
        text.extend_from_slice(&form);
        planted.push((usize::from(*which) % 5, form));
    }

    let whole = redactor.redact_line(&text).into_owned();
    let mut stream = redactor.stream();
    let mut streamed = Vec::new();
    let mut rest = text.as_slice();
    for cut in cuts {
        let (chunk, behind) = rest.split_at(usize::from(cut).min(rest.len()));
        stream.push(chunk, &mut streamed);
        rest = behind;
    }
    stream.push(rest, &mut streamed);
    stream.finish(&mut streamed);
    assert!(streamed == whole, "the same, however it is cut");

    for (which, form) in planted {
        let value = &values[which];
        let is_one_line = !value.iter().chain(&form).any(|byte| matches!(byte, b'\r' | b'\n'));
        // A value with a star may be made anew by the mask itself.
        if is_one_line && !value.contains(&b'*') && !refused.contains(&names[which]) && value.len() >= 8 {
            assert!(!contains(&whole, &form), "a planted value is gone");
            assert!(!redactor.names_in(&text).is_empty(), "and somebody's value was found");
        }
    }
});

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The value as some program prints it.
fn encoded(value: &[u8], encoding: u8) -> Vec<u8> {
    let each =
        |write: &dyn Fn(u8) -> String| value.iter().map(|byte| write(*byte)).collect::<String>().into_bytes();
    match encoding % 8 {
        0 => each(&|byte| format!("{byte:02x}")),
        1 => each(&|byte| format!("%{byte:02X}")),
        2 => each(&|byte| format!("\\x{byte:02x}")),
        3 => each(&|byte| format!("{byte:02X}:")).strip_suffix(b":").unwrap_or_default().to_vec(),
        4 => match std::str::from_utf8(value) {
            Ok(text) => {
                let quoted = serde_json::to_string(text).expect("text is JSON");
                quoted.as_bytes()[1..quoted.len() - 1].to_vec()
            }
            Err(_) => value.to_vec(),
        },
        5 => base64(value),
        _ => value.to_vec(),
    }
}

fn base64(value: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for three in value.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= three.len() { digit } else { b'=' });
        }
    }
    out
}
