import { afterAll, test as base } from 'vitest';
import { closeBrowser, House } from './house';

afterAll(closeBrowser);

/** A test with a house of its own. */
export const test = base.extend<{ house: House }>({
  house: async ({ task }, use) => {
    const house = new House();
    await use(house);
    const { troubles } = house;
    if (task.result?.state === 'fail' || troubles.length > 0) await house.leaveBehind(task.name);
    await house.close();
    if (troubles.length > 0) throw new Error(troubles.join('\n'));
  },
});
