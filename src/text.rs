//! Text from outside, on its way to a log, a screen or a page. In: characters that an endpoint, a program or a
//! client chose. Out: which of them must not be shown as they are. It must never know whose text it is.

/// Whether a character is not to be shown as it is: control characters, which a terminal obeys, and those that change
/// the direction or the look of the text around them, or cannot be seen at all (Unicode's UTR 36, section 2.10;
/// U+202E makes `exe.gpj` of `jpg.exe`). The joiners U+200C and U+200D are not among them: Persian and emoji are
/// written with them, and they move nothing.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_marks_are_hidden_like_control_bytes_and_letters_of_any_script_are_not() {
        for c in
            "\u{1b}\n\u{85}\u{202e}\u{202a}\u{2066}\u{2069}\u{200f}\u{61c}\u{feff}\u{2028}\u{e0041}".chars()
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in "aÄ日本語مرحبا שלום\u{200d}🙂 ".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
