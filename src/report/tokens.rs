//! States with a token each, the same in every form of the report.

/// Gives a state its token, the same in JSON, outputs, log and summary.
macro_rules! tokens {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $token:literal: $meaning:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_meta])* #[doc = $meaning] #[serde(rename = $token)] $variant,)*
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable token, as in the JSON report.
            pub fn token(self) -> &'static str {
                match self { $(Self::$variant => $token,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.token())
            }
        }
    };
}

pub(super) use tokens;
