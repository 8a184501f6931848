import { csvFields, isKilnError } from '#std';
import { invalid } from '../invalid.ts';
import type { Device } from './ast.ts';

const HINT = 'write --device=vendor.com/class=name, or with ,required behind it';
const switches: Readonly<Record<string, boolean>> = {
  '1': true,
  t: true,
  true: true,
  '0': false,
  f: false,
  false: false,
};

/** `--device=NAME[,required]`; a name may have a `=` of its own. @throws KilnError DOCKERFILE_INVALID */
export function parseDevice(text: string): Device {
  let name = '';
  let required = false;
  for (const field of fieldsOf(text)) {
    const equals = field.indexOf('=');
    const key = (equals === -1 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals === -1 ? undefined : field.slice(equals + 1);
    if (key === 'required') {
      const given = value === undefined ? true : switches[value.toLowerCase()];
      if (given === undefined) throw invalid(`invalid value for ${key}: ${value}`, { hint: HINT });
      required = given;
    } else if (key === 'name' && value !== undefined) {
      if (name !== '') throw invalid(`device name already set to ${name}`, { hint: HINT });
      name = value;
    } else if (name === '') name = field;
    else if (value === undefined) throw invalid(`invalid field '${field}' must be a key=value pair`, { hint: HINT });
    else throw invalid(`unexpected key '${key}' in '${field}'`, { hint: HINT });
  }
  if (name === '') throw invalid('a device without a name', { hint: HINT });
  return { name, required };
}

function fieldsOf(text: string): readonly string[] {
  try {
    return csvFields(text);
  } catch (thrown) {
    if (!isKilnError(thrown)) throw thrown;
    throw invalid(`failed to parse csv devices: ${thrown.message}`, { hint: thrown.hint });
  }
}
