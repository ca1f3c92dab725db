// How long the page's own thread is busy at a stretch, for tests and budget.

const BEGIN = 'longest-task-begins';
// The browser tells its renderers of a trace when it has already said that there is one.
const HEAD_START = 1000;

/**
 * The longest task of the page's own thread during `act`, in milliseconds: `busy`, which the processor spent on it, and
 * `wall`, which a visitor waits for and which on a machine with other work holds that too. Both are from the browser's
 * trace, which unlike a long-task observer knows them apart.
 */
export async function longestTask(context, page, act) {
  const session = await context.newCDPSession(page);
  const events = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...value));
  await session.send('Tracing.start', {
    transferMode: 'ReportEvents',
    traceConfig: { includedCategories: ['toplevel', 'blink.user_timing'], excludedCategories: ['*'] },
  });
  try {
    await page.waitForTimeout(HEAD_START);
    await page.evaluate((name) => {
      performance.mark(name);
    }, BEGIN);
    await act();
    // The task that `act` saw the end of is written down when it has ended.
    await page.waitForTimeout(HEAD_START);
  } finally {
    const complete = new Promise((resolve) => {
      session.once('Tracing.tracingComplete', resolve);
    });
    await session.send('Tracing.end');
    await complete;
    await session.detach();
  }
  const begin = events.find(({ name }) => name === BEGIN);
  if (!begin) throw new Error('the page was not yet traced when it began');
  const tasks = events.filter(({ ph, name, pid, tid, ts }) => (
    ph === 'X' && name === 'ThreadControllerImpl::RunTask' && pid === begin.pid && tid === begin.tid && ts > begin.ts
  ));
  if (tasks.length === 0) throw new Error('the trace holds no task of the page');
  // One that was under way when the trace ended has no time of its own.
  return { busy: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000, wall: Math.max(...tasks.map(({ dur = 0 }) => dur)) / 1000 };
}
