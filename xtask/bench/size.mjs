// Measures download sizes: takes a JSON object from name to files and prints one from name to `{raw, gzip, brotli}`. Each file
// is compressed separately, as a web server would.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const sizes = {};
for (const [name, files] of Object.entries(JSON.parse(process.argv[2]))) {
  const sum = { raw: 0, gzip: 0, brotli: 0 };
  for (const file of files) {
    const bytes = readFileSync(file);
    sum.raw += bytes.length;
    sum.gzip += gzipSync(bytes, { level: 9 }).length;
    sum.brotli += brotliCompressSync(bytes).length;
  }
  sizes[name] = sum;
}
console.log(JSON.stringify(sizes));
