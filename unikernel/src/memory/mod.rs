//! Memory as boot needs it: frames that are handed out and never come back.
//!
//! What an application has of it today is the [heap](crate::heap); the layers above frames follow.

pub(crate) mod early;

use self::early::EarlyFrames;
use crate::sync::SpinLock;

/// The machine's free frames, from the moment boot has found them; before, there are none.
pub(crate) static FRAMES: SpinLock<EarlyFrames> = SpinLock::new(EarlyFrames::empty());
