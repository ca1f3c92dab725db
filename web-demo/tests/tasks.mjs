// Measures the longest task of the page's main thread, for tests and budget.

const BEGIN = 'longest-task-begins';
// The browser reports that tracing has started before its renderers know.
const HEAD_START = 1000;

/**
 * The longest task of the page's main thread during `act`, in milliseconds: `busy` is its processor time, `wall` its elapsed
 * time, which includes other load on the machine. Both come from the browser's trace; a long-task observer cannot separate
 * them.
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
    // Let the current task end, so that the trace includes it.
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
  // A task that was running when the trace ended has no duration.
  return { busy: Math.max(...tasks.map(({ tdur = 0 }) => tdur)) / 1000, wall: Math.max(...tasks.map(({ dur = 0 }) => dur)) / 1000 };
}
