//! A load, and in the middle of it an invalidation and a read: what is rare by chance.

use std::sync::Arc;

use super::{Bench, asking::Asking, pause};
use crate::{
    random::Random,
    world::{Form, Scope},
};

impl Bench {
    /// Loads a key, and in the middle of it writes and invalidates, then reads again: that may not join the load.
    pub(super) async fn collide(self: &Arc<Self>, random: &mut Random) {
        let key = self.own.draw(random);
        if key.form() == Form::Bulk {
            return self.read(random).await;
        }
        let scope = match key.late_tag() {
            Some(tag) => Scope::Tag(key.tenant(), tag),
            None => random.pick(&[Scope::Key(key), Scope::Key(key), Scope::Tag(key.tenant(), key.tag())]),
        };
        self.invalidate_one(key, Scope::Key(key)).await;
        let [first, second] = [random.millis(0, 4), random.millis(0, 2)];
        let asking = random.pick(&[Asking::Latest, Asking::Latest, Asking::Usual]);
        let (mut early, mut late) = (Random::new(random.next()), Random::new(random.next()));
        let load = self.read_one(key, Asking::Usual, &mut early);
        let meddle = async {
            pause(first).await;
            if self.commit(key).is_some() {
                self.invalidate_one(key, scope).await;
            }
            pause(second).await;
            self.read_one(key, asking, &mut late).await;
        };
        tokio::join!(load, meddle);
    }
}
