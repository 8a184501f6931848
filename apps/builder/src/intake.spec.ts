import { describe, expect, it } from 'vitest';
import { Intake } from './intake.ts';

function tap() {
  const turns: string[] = [];
  const turn = (what: string) => () => Promise.resolve(void turns.push(what));
  return { turns, pause: turn('pause'), resume: turn('resume') };
}
const fail = (thrown: unknown): never => {
  throw thrown;
};

describe('an intake', () => {
  it('turns all its taps, and those that come later, when it is told something new', () => {
    const [early, late] = [tap(), tap()];
    const intake = new Intake(true, fail);
    intake.add(early);
    intake.set(true);
    expect(early.turns).toEqual([]);
    intake.set(false);
    intake.set(false);
    intake.add(late);
    expect([early.turns, late.turns, intake.isOpen]).toEqual([['pause'], ['pause'], false]);
    intake.set(true);
    expect([early.turns, late.turns]).toEqual([
      ['pause', 'resume'],
      ['pause', 'resume'],
    ]);
  });

  it('tells of a tap that does not turn, and turns the others', async () => {
    const told: unknown[] = [];
    const other = tap();
    const intake = new Intake(true, (thrown) => told.push(thrown));
    intake.add({ pause: () => Promise.reject(new Error('stuck')), resume: () => Promise.resolve() });
    intake.add(other);
    intake.set(false);
    await Promise.resolve();
    expect([other.turns, told]).toEqual([['pause'], [new Error('stuck')]]);
  });
});
