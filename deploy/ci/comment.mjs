/**
 * `node comment.mjs FILE`: puts a review on the pull request (GitHub) or merge request (GitLab) that the job runs for, in place of the one before.
 * Both say by environment variables which that is. GITHUB_TOKEN needs the permission pull-requests: write; for GitLab, SALLYPORT_GITLAB_TOKEN is an access
 * token with scope api, as a job's own token may not comment.
 */
import { readFileSync } from 'node:fs';

/** As the review begins: its comment is found by it. */
const MARK = '<!-- sallyport review -->';
/** GitHub takes no longer comment, in characters; GitLab takes more. */
const MOST = 65_536;
const PER_PAGE = 100;

const { env } = process;

/** Where comments are, how they are changed, and what lets us do that. */
function place() {
  const pull = /^refs\/pull\/(\d+)\//.exec(env.GITHUB_REF ?? '')?.[1];
  if (pull !== undefined) {
    const repository = `${env.GITHUB_API_URL}/repos/${env.GITHUB_REPOSITORY}`;
    return {
      comments: `${repository}/issues/${pull}/comments`,
      one: (id) => `${repository}/issues/comments/${id}`,
      update: 'PATCH',
      headers: { authorization: `Bearer ${needed('GITHUB_TOKEN')}`, accept: 'application/vnd.github+json' },
    };
  }
  if (env.CI_MERGE_REQUEST_IID !== undefined) {
    const notes = `${env.CI_API_V4_URL}/projects/${env.CI_PROJECT_ID}/merge_requests/${env.CI_MERGE_REQUEST_IID}/notes`;
    return {
      comments: notes,
      one: (id) => `${notes}/${id}`,
      update: 'PUT',
      headers: { 'private-token': needed('SALLYPORT_GITLAB_TOKEN') },
    };
  }
  throw new Error(
    'neither GITHUB_REF nor CI_MERGE_REQUEST_IID names a request: a comment can be put on one only in a job that runs for it',
  );
}

function needed(name) {
  const value = env[name];
  if (!value) throw new Error(`${name} is not set: comments need a token`);
  return value;
}

async function ask(url, headers, method = 'GET', body = undefined) {
  const answer = await fetch(url, {
    method,
    headers: { ...headers, 'user-agent': 'sallyport', ...(body && { 'content-type': 'application/json' }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${(await answer.text()).slice(0, 200)}`);
  return answer.json();
}

async function earlier({ comments, headers }) {
  for (let page = 1; ; page++) {
    const found = await ask(`${comments}?per_page=${PER_PAGE}&page=${page}`, headers);
    const ours = found.find(({ body }) => body?.startsWith(MARK));
    if (ours || found.length < PER_PAGE) return ours;
  }
}

const text = readFileSync(process.argv[2], 'utf8');
const cut = '\n\n… and more: the job has all of it.\n';
const body = text.length <= MOST ? text : text.slice(0, text.lastIndexOf('\n', MOST - cut.length)) + cut;
try {
  const where = place();
  const before = await earlier(where);
  if (before) await ask(where.one(before.id), where.headers, where.update, { body });
  else await ask(where.comments, where.headers, 'POST', { body });
} catch (error) {
  console.error(`sallyport: no comment: ${error.message}`);
  process.exitCode = 3;
}
