/**
 * How often a property is tried: some hundreds of times with every change, twenty times that where tests may take long.
 * Each run begins with another seed, which fast-check names where a property fails.
 */
export function propertyRuns(usual: number): { readonly numRuns: number } {
  return { numRuns: process.env['KILN_TEST_LENGTH'] === 'long' ? usual * 20 : usual };
}
