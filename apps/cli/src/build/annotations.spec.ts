import { describe, expect, it } from 'vitest';
import { readAnnotations } from './annotations.ts';

describe('--annotation', () => {
  it('names what it is put on', () => {
    const values = [
      'plain=1',
      'index:a=2',
      'manifest,index-descriptor:b=x=y',
      'manifest-descriptor[linux/arm/v7]:c=',
      'org.example:with.colon=3',
      'https://example.com/key=4',
    ];
    expect(readAnnotations(values)).toEqual({
      'manifest:plain': '1',
      'index:a': '2',
      'manifest:b': 'x=y',
      'index-descriptor:b': 'x=y',
      'manifest-descriptor[linux/arm/v7]:c': '',
      'manifest:org.example:with.colon': '3',
      'manifest:https://example.com/key': '4',
    });
  });

  it('is refused without a value, or for what there is not', () => {
    expect(() => readAnnotations(['plain'])).toThrow('not KEY=VALUE');
    expect(() => readAnnotations(['manifst:a=1'])).toThrow('did you mean manifest?');
  });
});
