//! What inputs choose between.

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All stages: the project runs with its secrets.
    Deploy,
    /// Writes the secret files and refreshes the revisions of an existing override file.
    CreateFiles,
    /// Writes the override file; needs no values.
    CreateCompose,
    /// Everything up to delivery, changing nothing.
    Validate,
    /// Compares what runs with what the last deployment left.
    Drift,
    /// Stops the project and removes what is ours.
    Down,
}

impl Mode {
    /// Every mode with its name.
    pub const ALL: &'static [(&'static str, Mode)] = &[
        ("deploy", Mode::Deploy),
        ("create-files", Mode::CreateFiles),
        ("create-compose", Mode::CreateCompose),
        ("validate", Mode::Validate),
        ("drift", Mode::Drift),
        ("down", Mode::Down),
    ];

    /// The mode's name in the input `mode`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// When Compose pulls images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Before every deployment.
    Always,
    /// Only missing images.
    Missing,
    /// Never.
    Never,
}

/// The value of the input `delivery`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryChoice {
    /// The safest that works here.
    Auto,
    /// Bind-mounted files.
    File,
    /// A volume per service and revision.
    Volume,
}

/// What the `project-files` input asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProjectFiles {
    /// Copied where the engine is on another machine, or outlives the workspace.
    Auto,
    /// Copied.
    Copy,
    /// Mounted at the same path.
    InPlace,
}
