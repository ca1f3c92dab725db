//! The list of operations and what all of them do: a `match` by role, so that none can be forgotten.

/// Makes [`Op`](super::Op) from each operation's name in a packed model, which is also its module's, and its type, by
/// [`Role`](super::operation::Role).
macro_rules! operations {
    (
        Source { $($source:ident: $Source:ident),* $(,)? }
        Convolution { $($convolution:ident: $Convolution:ident),* $(,)? }
        Fused { $($fused:ident: $Fused:ident),* $(,)? }
        Gather { $($gather:ident: $Gather:ident),* $(,)? }
        Elementwise { $($elementwise:ident: $Elementwise:ident),* $(,)? }
        Quantiser { $($quantiser:ident: $Quantiser:ident),* $(,)? }
    ) => {
        operations! {
            @all
            $($source: $Source,)*
            $($convolution: $Convolution,)*
            $($fused: $Fused,)*
            $($gather: $Gather,)*
            $($elementwise: $Elementwise,)*
            $($quantiser: $Quantiser,)*
        }

        impl Op {
            /// The role of the operation.
            pub fn role(&self) -> Role {
                match self {
                    $(Self::$Source(_))|* => Role::Source,
                    $(Self::$Convolution(_))|* => Role::Convolution,
                    $(Self::$Fused(_))|* => Role::Fused,
                    $(Self::$Gather(_))|* => Role::Gather,
                    $(Self::$Elementwise(_))|* => Role::Elementwise,
                    $(Self::$Quantiser(_))|* => Role::Quantiser,
                }
            }

            /// The map that a convolution reads, and its weights; `None` for other roles.
            pub fn filter(&self) -> Option<(usize, &Filter)> {
                match self {
                    $(Self::$Convolution(op) => Some(op.filter()),)*
                    $(Self::$Fused(op) => Some(op.filter()),)*
                    $(Self::$Source(_))|* | $(Self::$Gather(_))|* => None,
                    $(Self::$Elementwise(_))|* | $(Self::$Quantiser(_))|* => None,
                }
            }

            /// A convolution with its weights laid out for `backend`; `None` for other roles.
            pub(crate) fn layer(
                &self,
                data: &Data,
                shapes: &[Shape],
                backend: Backend,
            ) -> Option<Layer> {
                let (x, filter) = self.filter()?;
                let thresholds = match self {
                    $(Self::$Fused(op) => Some(op.thresholds()),)*
                    $(Self::$Convolution(_))|* | $(Self::$Source(_))|* => None,
                    $(Self::$Gather(_))|* | $(Self::$Elementwise(_))|* => None,
                    $(Self::$Quantiser(_))|* => None,
                };
                Some(Layer::new(x, shapes[x], filter, thresholds, data, backend))
            }

            /// Fills in the levels of a picture. Only for the first operation.
            pub(crate) fn fill(&self, data: &Data, rgb: &[u8], levels: &mut [i8]) {
                match self {
                    $(Self::$Source(op) => op.fill(data, rgb, levels),)*
                    $(Self::$Convolution(_))|* | $(Self::$Fused(_))|* => out_of_role(),
                    $(Self::$Gather(_))|* | $(Self::$Elementwise(_))|* => out_of_role(),
                    $(Self::$Quantiser(_))|* => out_of_role(),
                }
            }

            /// Computes row `y` of real numbers, for the first operation of a step. `sums` are its own if it convolves.
            pub(crate) fn row(&self, maps: &Maps, y: usize, sums: &[i32], row: &mut [f32]) {
                match self {
                    $(Self::$Convolution(op) => op.row(maps.data, sums, row),)*
                    $(Self::$Gather(op) => op.row(maps, y, row),)*
                    $(Self::$Elementwise(op) => {
                        row.copy_from_slice(maps.real_row(op.x(), y));
                        op.change(maps, op.x(), y, row);
                    })*
                    $(Self::$Source(_))|* | $(Self::$Fused(_))|* => out_of_role(),
                    $(Self::$Quantiser(_))|* => out_of_role(),
                }
            }

            /// Computes row `y` of signs or levels, for an operation that gathers them.
            pub(crate) fn levels(&self, maps: &Maps, y: usize, row: &mut [u8]) {
                match self {
                    $(Self::$Gather(op) => op.levels(maps, y, row),)*
                    $(Self::$Source(_))|* | $(Self::$Convolution(_))|* => out_of_role(),
                    $(Self::$Fused(_))|* | $(Self::$Elementwise(_))|* => out_of_role(),
                    $(Self::$Quantiser(_))|* => out_of_role(),
                }
            }

            /// Changes row `y` of `from` in place, for an element-wise operation.
            pub(crate) fn change(&self, maps: &Maps, from: usize, y: usize, row: &mut [f32]) {
                match self {
                    $(Self::$Elementwise(op) => op.change(maps, from, y, row),)*
                    $(Self::$Source(_))|* | $(Self::$Convolution(_))|* => out_of_role(),
                    $(Self::$Fused(_))|* | $(Self::$Gather(_))|* => out_of_role(),
                    $(Self::$Quantiser(_))|* => out_of_role(),
                }
            }

            /// Writes row `y` of signs or levels, for a quantiser.
            pub(crate) fn quantise(
                &self,
                data: &Data,
                shape: Shape,
                y: usize,
                row: &[f32],
                map: &mut [u64],
            ) {
                match self {
                    $(Self::$Quantiser(op) => op.quantise(data, shape, y, row, map),)*
                    $(Self::$Source(_))|* | $(Self::$Convolution(_))|* => out_of_role(),
                    $(Self::$Fused(_))|* | $(Self::$Gather(_))|* => out_of_role(),
                    $(Self::$Elementwise(_))|* => out_of_role(),
                }
            }

            /// Bits per element of the result. The pools of a quantised map keep those of its [`Op::quantiser`].
            pub fn bits(&self) -> u8 {
                match self {
                    $(Self::$Quantiser(op) => op.bits(),)*
                    $(Self::$Fused(_))|* => 1,
                    $(Self::$Source(_))|* => 8,
                    $(Self::$Convolution(_))|* | $(Self::$Gather(_))|* => 32,
                    $(Self::$Elementwise(_))|* => 32,
                }
            }
        }
    };

    (@all $($word:ident: $Name:ident,)*) => {
        $(pub use $word::$Name;)*

        /// An operation. Its fields `x`, `a` and `b` are indices of earlier operations.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(
                #[doc = concat!("`", stringify!($word), "`.")]
                $Name($Name),
            )*
        }

        $(
            impl From<$Name> for Op {
                fn from(op: $Name) -> Self {
                    Self::$Name(op)
                }
            }
        )*

        impl Serialize for Op {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    // The index of the variant does not appear in JSON.
                    $(Self::$Name(op) => to.serialize_newtype_variant("Op", 0, stringify!($word), op),)*
                }
            }
        }

        impl Op {
            fn named(word: &str, of: Fields) -> Result<Self, String> {
                Ok(match word {
                    $(stringify!($word) => Self::$Name($Name::read(of)?),)*
                    _ => return Err(format!("'{word}' is not known")),
                })
            }

            /// Visits the indices of the operations whose results this one reads, and may change them.
            pub fn for_each_input(&mut self, visit: impl FnMut(&mut usize)) {
                match self {
                    $(Self::$Name(op) => op.for_each_input(visit),)*
                }
            }

            fn own_shape(&self, earlier: &Earlier) -> Result<Shape, String> {
                match self {
                    $(Self::$Name(op) => op.shape(earlier),)*
                }
            }

            /// Checks the operation's numbers, once all shapes are known.
            ///
            /// # Errors
            /// The first number that is not allowed.
            pub(crate) fn check(&self, data: &Data, shapes: &[Shape]) -> Result<(), String> {
                match self {
                    $(Self::$Name(op) => op.check(data, shapes),)*
                }
            }

            /// The cost per sample, or `None` if the energy model does not count the operation.
            pub fn cost(&self, shapes: &[Shape]) -> Option<Cost> {
                match self {
                    $(Self::$Name(op) => op.cost(shapes),)*
                }
            }
        }
    };
}
