use super::*;
use crate::infra::secret_key::{MacPurpose, SecretKey};

fn key(text: &str) -> MacKey {
    SecretKey::from_text(&text.repeat(32)).unwrap().mac_key(MacPurpose::Backup)
}

fn file(key: &MacKey, texts: &[&str]) -> Vec<u8> {
    let mut writer = FrameWriter::begin(Vec::new(), key).unwrap();
    let (last, others) = texts.split_last().unwrap();
    for text in others {
        writer.frame(text.as_bytes()).unwrap();
    }
    writer.finish(last.as_bytes()).unwrap()
}

fn read(file: &[u8], key: &MacKey) -> Result<Vec<String>, FormatError> {
    let (mut reader, first) = FrameReader::open(file, key)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut texts = vec![text(&first)];
    loop {
        let (next, last) = reader.next()?;
        texts.push(text(&next));
        if last {
            return Ok(texts);
        }
    }
}

#[test]
fn what_was_written_is_read_under_the_same_secret_also_when_it_has_become_the_one_before() {
    let made = file(&key("a"), &["head", "", "body", "end"]);
    assert_eq!(read(&made, &key("a")).unwrap(), ["head", "", "body", "end"]);
    let changed = SecretKey::from_text(&"b".repeat(32)).unwrap();
    let changed = changed.with_previous(&"a".repeat(32)).unwrap().mac_key(MacPurpose::Backup);
    assert_eq!(read(&made, &changed).unwrap().len(), 4);
    let refused = read(&made, &key("b")).unwrap_err();
    assert!(matches!(refused, FormatError::WrongKey));
    assert!(refused.to_string().contains("SECRET_KEY_PREVIOUS"));
    assert_ne!(made, file(&key("a"), &["head", "", "body", "end"]), "a salt of its own");
}

#[test]
fn no_bit_of_a_file_can_change() {
    let made = file(&key("a"), &["head", "body", "end"]);
    for at in 0..made.len() {
        for bit in 0..8 {
            let mut other = made.clone();
            other[at] ^= 1 << bit;
            assert!(read(&other, &key("a")).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_or_goes_on_is_refused() {
    let made = file(&key("a"), &["head", "body", "end"]);
    for length in 0..made.len() {
        let refused = read(&made[..length], &key("a")).unwrap_err();
        let expected = if length < 10 {
            matches!(refused, FormatError::NotABackup)
        } else {
            matches!(refused, FormatError::CutShort)
        };
        assert!(expected, "{length}: {refused:?}");
    }
    let longer = [&made[..], b"x"].concat();
    assert!(matches!(read(&longer, &key("a")), Err(FormatError::Trailing)));
}

#[test]
fn frames_keep_their_order_their_number_and_their_file() {
    let (made, other) =
        (file(&key("a"), &["0", "1", "2", "3"]), file(&key("a"), &["0", "1", "2", "3"]));
    let (start, size) = (PREAMBLE_LEN, 4 + 1 + 16);
    let frame = |file: &[u8], at: usize| file[start + at * size..start + (at + 1) * size].to_vec();
    let built = |frames: &[Vec<u8>]| [&made[..start], &frames.concat()].concat();
    let own = |at| frame(&made, at);
    assert!(read(&built(&[own(0), own(1), own(2), own(3)]), &key("a")).is_ok());
    for (frames, what) in [
        (vec![own(0), own(2), own(1), own(3)], "moved"),
        (vec![own(0), own(1), own(3)], "left out"),
        (vec![own(0), own(1), own(1), own(2), own(3)], "doubled"),
        (vec![own(0), frame(&other, 1), own(2), own(3)], "from another file"),
    ] {
        assert!(matches!(read(&built(&frames), &key("a")), Err(FormatError::Damaged(_))), "{what}");
    }
    // The last frame left out, and the one before it marked as the last.
    let mut early = built(&[own(0), own(1), own(2)]);
    early[start + 2 * size] |= 0x80;
    assert!(matches!(read(&early, &key("a")), Err(FormatError::Damaged(2))));
}

#[test]
fn what_is_no_backup_or_a_newer_one_is_told_before_any_key_is_tried() {
    let mut made = file(&key("a"), &["head", "end"]);
    assert!(matches!(read(b"[[users]]\nusername", &key("b")), Err(FormatError::NotABackup)));
    made[9] = 2;
    assert!(matches!(read(&made, &key("b")), Err(FormatError::Newer(2))));
    made[9] = 0;
    assert!(matches!(read(&made, &key("b")), Err(FormatError::NotABackup)));
}

#[test]
fn a_claimed_length_is_not_believed() {
    let made = file(&key("a"), &["head", "end"]);
    let mut huge = made[..PREAMBLE_LEN].to_vec();
    huge.extend((MAX_FRAME_BYTES + 1).to_be_bytes());
    assert!(matches!(read(&huge, &key("a")), Err(FormatError::Damaged(0))));
}
