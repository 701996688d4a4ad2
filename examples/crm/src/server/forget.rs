//! What the cache forgets after a write, on all nodes.

use std::time::Duration;

use stratacache::{ErrorKind, Namespace, Target, Token};
use tokio::time::sleep;

use super::{
    answer::AppError,
    contacts::{CONTACTS, of_contact},
};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Invalidates what was made of a contact that has changed. Once this has returned, nobody is given what was there
/// before; so call it after the commit and before the answer.
///
/// The change is in the data base already, so it is not given up while Redis is away: it is tried until it succeeds.
pub(super) async fn forget(acme: &Namespace, id: i64) -> Result<Option<Token>, AppError> {
    if cfg!(feature = "broken-invalidation") {
        return Ok(None); // the mistake that the tour must find
    }
    let mut pause = FIRST_PAUSE;
    loop {
        match acme.invalidate([Target::tag(CONTACTS), Target::tag(of_contact(id))]).await {
            Ok(token) => return Ok(Some(token)),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Closed) => {
                return Err(AppError::Forget(error));
            }
            Err(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
