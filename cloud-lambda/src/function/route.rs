//! The function's routes and their methods.

/// A path that the function serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/infer`
    Infer,
    /// `/health`
    Health,
    /// `/ready`
    Ready,
    /// `/v2/models/NAME`, or `/v2/models/NAME/versions/VERSION`
    Model { name: &'a str, version: Option<&'a str> },
}

impl<'a> Route<'a> {
    /// Parses a path; `None` if the function does not serve it.
    pub fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        Some(match parts[..] {
            ["infer"] => Self::Infer,
            ["health"] => Self::Health,
            ["ready"] => Self::Ready,
            ["v2", "models", name] => Self::Model { name, version: None },
            ["v2", "models", name, "versions", version] => {
                Self::Model { name, version: Some(version) }
            }
            _ => return None,
        })
    }

    /// The only HTTP method that the route accepts.
    pub fn method(self) -> &'static str {
        match self {
            Self::Infer => "POST",
            Self::Health | Self::Ready | Self::Model { .. } => "GET",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing_or_nothing() {
        let model = |version| Some(Route::Model { name: "tiny", version });
        for (path, route) in [
            ("/infer", Some(Route::Infer)),
            ("//infer", Some(Route::Infer)),
            ("/infer/", None),
            ("/infer%20", None),
            ("/v2/models/tiny", model(None)),
            ("/v2/models/tiny/versions/1.0.0", model(Some("1.0.0"))),
            ("/v2/models/tiny/versions", None),
            ("/v2/models", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
