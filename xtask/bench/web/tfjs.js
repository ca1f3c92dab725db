// Runs an edge's graph, as `fogline_recipe peers` writes it, with the operations of tfjs. Maps are NHWC, as its kernels need.

/** What every operation becomes: its tensors, then its attributes. */
const operations = (tf) => ({
  Conv: ([x, filter, bias], { strides, pads }) =>
    tf.fused.conv2d({ x, filter, bias, strides, pad: [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]] }),
  PRelu: ([x, slope]) => tf.prelu(x, slope),
  Add: ([a, b]) => tf.add(a, b),
  MaxPool: ([x], { kernel_shape: side, strides }) => tf.maxPool(x, side, strides, 'valid'),
  AveragePool: ([x], { kernel_shape: side, strides }) => tf.avgPool(x, side, strides, 'valid'),
  Flatten: ([x]) => tf.reshape(x, [1, -1]),
  Gemm: ([a, b, bias], { transB }) => tf.fused.matMul({ a, b, bias, transposeB: transB === 1 }),
});

/** A function that runs the graph once on a picture and weights of `normals(count)`, and returns its outputs' sizes. */
export function graph(tf, { nodes, constants, input, outputs }, normals) {
  const known = operations(tf);
  const tensor = (shape) => tf.tensor(normals(shape.reduce((a, b) => a * b, 1)), shape);
  const given = Object.fromEntries([...Object.entries(constants), [input.name, input.shape]].map(([name, shape]) => [name, tensor(shape)]));
  const strange = nodes.find(({ op }) => !known[op]);
  if (strange) throw new Error(`the edge has a ${strange.op}, which tfjs.js does not know`);
  return () => tf.tidy(() => {
    const values = { ...given };
    for (const { op, inputs, output, attributes } of nodes) values[output] = known[op](inputs.map((name) => values[name]), attributes);
    return outputs.map((name) => values[name].size);
  });
}
