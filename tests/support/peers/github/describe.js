// Cuts GitHub's published description of its API down to what is asked here, so that Prism starts in seconds. It adds what
// the description leaves out and GitHub does: the content type that clients ask for, and the answers that refuse.
// Usage: describe.js DESCRIPTION RESULT
const fs = require('fs');

const [from, to] = process.argv.slice(2);
const whole = JSON.parse(fs.readFileSync(from, 'utf8'));
const repository = '/repos/{owner}/{repo}';
const paths = [
  ...['actions', 'environments/{environment_name}'].flatMap((of) => ['secrets', 'variables'].map((kind) => `${of}/${kind}`)),
  'actions/organization-secrets',
  'actions/organization-variables',
  'dependabot/secrets',
  'environments',
  'deployments',
  'deployments/{deployment_id}/statuses',
  'issues/{issue_number}/comments',
  'issues/comments/{comment_id}',
].map((path) => `${repository}/${path}`).concat('/user');

const kept = {};
for (const path of paths) {
  if (!whole.paths[path]) throw new Error(`the description has no ${path}`);
  kept[path] = whole.paths[path];
  for (const [method, operation] of Object.entries(kept[path])) {
    if (!operation.responses) continue;
    for (const status of ['301', '401', '403', '404', '429', '500', '503']) {
      operation.responses[status] ??= {
        description: status,
        content: { 'application/json': { schema: { $ref: '#/components/schemas/basic-error' } } },
      };
    }
  }
}

const components = {};
function resolve(part) {
  if (Array.isArray(part)) return part.forEach(resolve);
  if (part === null || typeof part !== 'object') return;
  if (typeof part.$ref === 'string') {
    const [kind, name] = part.$ref.split('/').slice(2);
    components[kind] ??= {};
    if (!components[kind][name]) {
      components[kind][name] = whole.components[kind][name];
      resolve(components[kind][name]);
    }
    return;
  }
  if (part.content?.['application/json']) {
    part.content['application/vnd.github+json'] ??= part.content['application/json'];
  }
  Object.values(part).forEach(resolve);
}
resolve(kept);
const { openapi, info } = whole;
fs.writeFileSync(to, JSON.stringify({ openapi, info, paths: kept, components }));
