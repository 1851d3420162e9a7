use std::io;

use super::recorded::{Recorded, done, word};
use super::{Conversation, DONE, INTERRUPTED, message};

#[test]
fn changed_or_lost_list_is_requested_again() {
    let one = (16, 2, message::attribute(1, b"a"));
    let changed = vec![(16, 2 | INTERRUPTED, message::attribute(1, b"half")), done()];
    let lost = Err(io::Error::from_raw_os_error(libc::ENOBUFS));
    let mut kernel = Recorded::saying(vec![
        Ok(changed),
        Ok(vec![one.clone()]),
        lost,
        Ok(vec![one.clone()]),
        Ok(vec![done()]),
    ]);
    let list = Conversation::over(&mut kernel).list(18, &[0; 16], "list links").unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(kernel.asked.len(), 3);
}

#[test]
fn refusal_names_the_request_and_differs_from_absence() {
    let mut kernel = Recorded::saying(vec![
        Ok(vec![word(libc::ENODEV)]),
        Ok(vec![word(libc::EPERM)]),
        Ok(vec![word(0)]),
    ]);
    let mut conversation = Conversation::over(&mut kernel);
    assert!(conversation.change(17, &[], "remove the interface x").unwrap_err().is_absence());
    let refused = conversation.change(17, &[], "remove the interface x").unwrap_err();
    assert!(!refused.is_absence() && refused.to_string().contains("interface x"));
    conversation.change(17, &[], "remove the interface x").unwrap();
}

#[test]
fn silent_torn_or_endless_kernel_answer_is_an_error() {
    let mut silent = Recorded::saying(vec![Ok(vec![(16, 2, vec![])])]);
    assert!(Conversation::over(&mut silent).list(18, &[], "list links").is_err());
    let restless = (0..40).map(|_| Ok(vec![(DONE, INTERRUPTED, vec![0; 4])])).collect();
    let mut restless = Recorded::saying(restless);
    assert!(Conversation::over(&mut restless).list(18, &[], "list links").is_err());
    assert!(restless.asked.len() < 40);
    let mut refused_at_its_end =
        Recorded::saying(vec![Ok(vec![(DONE, 2, (-libc::EOPNOTSUPP).to_ne_bytes().to_vec())])]);
    assert!(Conversation::over(&mut refused_at_its_end).list(18, &[], "list links").is_err());
}
