export { relaxedSimd, simd } from 'wasm-feature-detect';
