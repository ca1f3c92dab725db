//! Small graphs, built in code.

use fogline::manifest::{Input, Manifest};
use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::{Model, Program};
use prost::Message;

use crate::onnx::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, TensorProto, TensorShape,
    TensorType, TypeProto, ValueInfoProto,
};
use crate::{PackError, Packed, pack};

/// The side of the picture, unless stated.
const SIZE: u32 = 8;

/// A graph with the picture `x`, the exit `e1` and the split `split`.
#[derive(Clone)]
pub struct Built {
    exits: Vec<String>,
    input: Input,
    channels: i64,
    graph: GraphProto,
}

impl Built {
    /// The picture, quantised to 8 bits, and a 3x3 convolution of 8 bits that gives the map `c` of 8 channels, 8x8.
    pub fn stem() -> Self {
        Self::of_size(SIZE)
    }

    /// The same for a picture of `size` x `size`.
    pub fn of_size(size: u32) -> Self {
        let manifest = include_bytes!("../../../tests/tiny/manifest.json");
        let input = Input { size, ..Manifest::parse(manifest).unwrap().input };
        Self::of_input(3, input).stem_of("x")
    }

    /// A picture of so many channels, with one mean and std for all of them, and nothing that reads it.
    pub fn bare(channels: i64, mean: f32, std: f32) -> Self {
        Self::of_input(channels, Input { size: SIZE, mean: [mean; 3], std: [std; 3] })
    }

    /// A picture of so many channels, normalised like this, and nothing that reads it.
    pub fn of_input(channels: i64, input: Input) -> Self {
        let exits = vec!["e1".to_owned()];
        let new = Self { exits, input, channels, graph: GraphProto::default() };
        let numbers = [("one", 1.0), ("zero", 0.0), ("eight", 8.0), ("step", 1.0 / 64.0)];
        numbers.into_iter().fold(new, |built, (name, number)| built.tensor(name, &[], &[number]))
    }

    /// Adds the quantiser and the convolution of [`Built::stem`] over `x`.
    pub fn stem_of(self, x: &str) -> Self {
        self.tensor("w", &[8, 3, 3, 3], &varied(8 * 27))
            .node("Quant", &format!("{x} step zero eight"), "xq", &[])
            .node("Quant", "w step zero eight", "wq", &[])
            .node("Conv", "xq wq", "c", &[ints("pads", &[1; 4])])
    }

    /// Adds a constant of f32.
    pub fn tensor(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        let (name, dims, float_data) = (name.to_owned(), dims.to_vec(), values.to_vec());
        let tensor = TensorProto { name, dims, data_type: 1, float_data, ..<_>::default() };
        self.graph.initializer.push(tensor);
        self
    }

    /// Adds a constant of another type: its number in ONNX, with values in the field for small integers.
    pub fn typed(mut self, name: &str, data_type: i32, dims: &[i64], values: &[i32]) -> Self {
        let (name, dims, int32_data) = (name.to_owned(), dims.to_vec(), values.to_vec());
        self.graph.initializer.push(TensorProto {
            dims,
            data_type,
            int32_data,
            name,
            ..<_>::default()
        });
        self
    }

    /// Adds a list of i64.
    pub fn whole(mut self, name: &str, values: &[i64]) -> Self {
        let (name, dims) = (name.to_owned(), vec![values.len() as i64]);
        let int64_data = values.to_vec();
        let tensor = TensorProto { name, dims, data_type: 7, int64_data, ..<_>::default() };
        self.graph.initializer.push(tensor);
        self
    }

    /// Adds a node; `inputs` are names with spaces between them.
    pub fn node(mut self, op: &str, inputs: &str, output: &str, of: &[AttributeProto]) -> Self {
        self.graph.node.push(NodeProto {
            name: format!("{output}-node"),
            op_type: op.to_owned(),
            input: inputs.trim_end().split(' ').map(str::to_owned).collect(),
            output: vec![output.to_owned()],
            attribute: of.to_vec(),
            domain: match op {
                "Quant" | "IntQuant" | "BipolarQuant" | "Trunc" => "qonnx.custom_op.general".into(),
                _ => String::new(),
            },
        });
        self
    }

    /// Gives the last node another output.
    pub fn also(&mut self, output: &str) {
        self.graph.node.last_mut().expect("a node").output.push(output.to_owned());
    }

    /// Puts the last node into another domain.
    pub fn domain(&mut self, domain: &str) {
        domain.clone_into(&mut self.graph.node.last_mut().expect("a node").domain);
    }

    /// Has these exits instead of `e1`.
    pub fn exits(mut self, names: &[&str]) -> Self {
        self.exits = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Adds global pooling and a linear layer over `x`, which give the exit's five scores.
    pub fn head(self, x: &str) -> Self {
        self.node("GlobalAveragePool", x, "p", &[]).flat_head("p")
    }

    /// Adds flattening and a linear layer over `x`, a map of 1x1x8, which give the exit's five scores.
    pub fn flat_head(self, x: &str) -> Self {
        self.node("Flatten", x, "f", &[]).linear("f")
    }

    /// Adds a linear layer over the row `x`, which gives the exit's five scores.
    pub fn linear(self, x: &str) -> Self {
        self.tensor("g", &[5, 8], &varied(40)).node(
            "Gemm",
            &format!("{x} g"),
            "e1",
            &[int("transB", 1)],
        )
    }

    /// Packs the graph with the signs of `x` as its split.
    ///
    /// # Errors
    /// If it is refused.
    pub fn split(self, x: &str) -> Result<Packed, PackError> {
        self.node("BipolarQuant", &format!("{x} one"), "split", &[]).outputs("split")
    }

    /// Packs the graph with `split` as its split.
    ///
    /// # Errors
    /// If it is refused.
    pub fn outputs(mut self, split: &str) -> Result<Packed, PackError> {
        let named = |name: &str| ValueInfoProto { name: name.to_owned(), kind: None };
        let size = i64::from(self.input.size);
        let sides = [1, self.channels, size, size];
        let dim = sides.into_iter().map(|value| Dimension { value }).collect();
        let tensor = Some(TensorType { shape: Some(TensorShape { dim }) });
        self.graph.input = vec![ValueInfoProto { kind: Some(TypeProto { tensor }), ..named("x") }];
        let exits = self.exits.iter().map(|exit| named(exit));
        self.graph.output = exits.chain([named(split)]).collect();
        pack(&ModelProto { graph: Some(self.graph) }.encode_to_vec(), &self.input, 1, None)
    }

    /// The refusal of the graph with the signs of `c` as its split.
    pub fn refusal(self) -> String {
        self.split("c").err().expect("it is refused").to_string()
    }
}

/// A packed model's operations, and what they give for a picture: the scores, then the split map.
pub fn computed(packed: &Packed) -> (&Program, [Stop; 2]) {
    let model = Model::parse(&packed.bytes).unwrap();
    let mut engine = Engine::new(model, Backend::Reference);
    engine.start(&(0..3 * SIZE * SIZE).map(|i| (i * 37 % 251) as u8).collect::<Vec<u8>>());
    (&packed.model.program, [engine.go_on(), engine.go_on()])
}

/// Numbers from -0.75 to 0.75 that vary.
pub fn varied(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 97) as f32 - 48.0) / 64.0).collect()
}

/// A picture of the usual size with a mean and a standard deviation for each channel.
pub fn picture(mean: [f32; 3], std: [f32; 3]) -> Input {
    Input { size: SIZE, mean, std }
}

/// An attribute of one integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, ..<_>::default() }
}

/// An attribute of several integers.
pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.to_owned(), ints: ints.to_vec(), ..<_>::default() }
}

/// An attribute of text.
pub fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto { name: name.to_owned(), s: text.as_bytes().to_vec(), ..<_>::default() }
}
