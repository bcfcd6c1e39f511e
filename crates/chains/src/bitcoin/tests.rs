//! What a node may say, and what is refused. Payments, over what a real node said, are in
//! `tests/recorded`.

use crate::Dialogue;

use super::*;

const CHAIN: &str = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328";

#[test]
fn amounts_are_read_as_the_text_that_they_are() {
    assert_eq!(satoshi("0.00000001"), Some(Minor(1)));
    assert_eq!(satoshi("20999999.97690000"), Some(Minor(2_099_999_997_690_000)));
    assert_eq!(satoshi("0.00000000"), Some(Minor(0)));
    let wrong = ["", "1", ".00000001", "01.00000000", "-1.00000000", "1.0", "1e-8", "1.000000000"];
    for text in
        wrong.into_iter().chain(["1.0000000a", "+1.00000000", "1,0.00000000", "\"1.00000000\""])
    {
        assert_eq!(satoshi(text), None, "{text}");
    }
}

#[test]
fn what_no_node_answers_is_refused() {
    let chain: ChainId = CHAIN.parse().expect("a chain");
    let answered = |question, body: &str| {
        let replies = [Reply::read(body.as_bytes(), 1)];
        Dialogue::begin(chain, question).take(chain, &Watch::default(), &replies).break_value()
    };
    let malformed = Some(Answer::Failed(Failure::Malformed));
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"result":"00"}"#), malformed);
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"result":7}"#), malformed);
    let refused = Some(Answer::Failed(Failure::Refused));
    assert_eq!(answered(Question::HashAt(3), r#"{"id":1,"error":{"code":-28}}"#), refused);
    assert_eq!(answered(Question::Waiting, "{}"), refused);
    let above = r#"{"id":1,"result":null,"error":{"code":-8}}"#;
    assert_eq!(answered(Question::HashAt(3), above), Some(Answer::Hash(None)));
}
