/** What Nest injects by. */
export const CONFIG = Symbol('ApiConfig');
export const CLOCK = Symbol('Clock');
export const RANDOM = Symbol('Random');
export const LOGGER = Symbol('Logger');
export const DATABASE = Symbol('Database');
export const REDIS = Symbol('RedisLink');
export const CONTENT = Symbol('ContentStore');
export const LEDGER = Symbol('BuildLedger');
export const FEED = Symbol('EventFeed');
export const ARCHIVE = Symbol('EventArchive');
export const CONTEXTS = Symbol('ContextStore');
export const IMAGES = Symbol('images');
export const BLOBS = Symbol('BlobIndex');
export const CACHE = Symbol('CacheAdmin');
export const COLLECTOR = Symbol('Collector');
export const BROWSER_SESSIONS = Symbol('BrowserSessions');
export const TOKENS = Symbol('TokenStore');
export const TEAMS = Symbol('TeamStore');
export const READABLE = Symbol('ReadableProjects');
export const AUDIT = Symbol('AuditLog');
export const TRUST_RULES = Symbol('TrustRuleStore');
export const ISSUERS = Symbol('Issuers');
/** SignInIssuer, or undefined where people sign in with tokens alone. */
export const SIGN_IN_ISSUER = Symbol('SignInIssuer');
export const SIGN_IN_FLOWS = Symbol('SignInFlows');
export const SIGN_INS = Symbol('SignIns');
export const PROJECT_SWITCH = Symbol('ProjectSwitch');
export const REGISTRIES = Symbol('RegistryCredentialStore');
export const WEBHOOKS = Symbol('WebhookStore');
export const DELIVERIES = Symbol('WebhookDeliveries');
export const OUTBOX = Symbol('WebhookOutbox');
export const STATISTICS = Symbol('StatisticsReader');
/** ApiMetrics: the figures of this process. */
export const METRICS = Symbol('ApiMetrics');
export const FIGURES = Symbol('FarmFigureReader');
export const QUEUE = Symbol('BuildQueue');
/** An AbortController: aborted when the process is asked to end, before connections are drained. */
export const SHUTDOWN = Symbol('Shutdown');
export const BUILDERS = Symbol('BuilderRegistry');
