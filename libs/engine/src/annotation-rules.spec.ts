import { parsePlatform } from '#oci';
import { describe, expect, it } from 'vitest';
import { annotationsOf, checkAnnotations, parseAnnotations } from './annotation-rules.ts';

const amd64 = parsePlatform('linux/amd64');
const arm64 = parsePlatform('linux/arm64');

describe('annotations', () => {
  it('go where their keys say', () => {
    const rules = parseAnnotations({
      plain: '1',
      'manifest:key': '2',
      'manifest[linux/arm64]:plain': '3',
      'index:key': '4',
      'index-descriptor:key': '5',
      'manifest-descriptor[linux/amd64]:key': '6',
      'com.example:with-colon': '7',
    });
    expect(annotationsOf(rules, 'manifest', amd64)).toEqual({ plain: '1', key: '2', 'com.example:with-colon': '7' });
    expect(annotationsOf(rules, 'manifest', arm64)).toMatchObject({ plain: '3' });
    expect(annotationsOf(rules, 'index')).toEqual({ key: '4' });
    expect(annotationsOf(rules, 'index-descriptor')).toEqual({ key: '5' });
    expect(annotationsOf(rules, 'manifest-descriptor', amd64)).toEqual({ key: '6' });
    expect(annotationsOf(rules, 'manifest-descriptor', arm64)).toEqual({});
    checkAnnotations(rules, { platforms: [amd64, arm64], index: true });
  });

  it('are refused for what a build does not make', () => {
    const one = { platforms: [amd64], index: false };
    expect(() => checkAnnotations(parseAnnotations({ 'index:a': '' }), one)).toThrow('needs several platforms');
    expect(() => checkAnnotations(parseAnnotations({ 'manifest[linux/arm64]:a': '' }), one)).toThrow('linux/arm64');
    expect(() => parseAnnotations({ 'index[linux/amd64]:a': '' })).toThrow('an index has no platform');
    expect(() => parseAnnotations({ 'manifest[linux]:a': '' })).toThrow('not a platform');
  });
});
