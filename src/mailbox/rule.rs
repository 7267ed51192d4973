//! The rules: one table, each row with where it was learnt and when that was looked at.
//!
//! Within agents and within networks the first row that matches counts. A network's number says whose it is; a word in its name
//! says less and comes later. What no source confirms is not here.

/// What a request says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// Google's image proxy, for an open.
    GmailCache,
    /// Google, before a message is shown.
    GmailPrefetch,
    /// Yahoo's image proxy.
    YahooCache,
    /// What Apple's Mail Privacy Protection says of itself: next to nothing.
    AppleCache,
    /// Mail on a Mac or an iPhone; also what is shown within apps there.
    AppleMail,
    /// A mail client of a person's own.
    MailClient,
    /// A browser of a person's own, or who says so.
    Browser,
    /// A security scanner by its own word.
    Scanner,
    /// A program's library, a crawler, a browser without a window.
    Tool,
    /// Makes a preview of a link somebody posted.
    Preview,
    /// Nothing, or nothing known.
    Other,
}

/// Whose network a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Google's.
    Google,
    /// Yahoo's.
    Yahoo,
    /// Microsoft's.
    Microsoft,
    /// Apple's.
    Apple,
    /// Where Apple's relays leave, and other people's: Akamai, Cloudflare, Fastly.
    Relay,
    /// A vendor of mail security.
    Security,
    /// A provider of servers.
    Hosting,
    /// A network of VPNs.
    Vpn,
    /// A mobile carrier: one gateway for half a country.
    Carrier,
    /// Any other: homes, offices.
    Access,
    /// Nothing was said.
    Unknown,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// The software, by its user agent.
    Agent(Agent),
    /// The network, by its number or name.
    Network(Network),
}

/// When a rule holds. Words are in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The text is nothing but this.
    Is(&'static str),
    /// It has one of these in it.
    Has(&'static [&'static str]),
    /// It has all of these in it.
    HasAll(&'static [&'static str]),
    /// It has the first in it and not the second.
    HasWithout(&'static str, &'static str),
    /// The network's number is one of these.
    Asn(&'static [u32]),
}

impl Match {
    /// Whether it holds for a text in lower case, or a network's number.
    pub(super) fn holds(self, text: &str, asn: Option<u32>) -> bool {
        match self {
            Self::Is(whole) => text == whole,
            Self::Has(words) => words.iter().any(|word| text.contains(word)),
            Self::HasAll(words) => words.iter().all(|word| text.contains(word)),
            Self::HasWithout(word, without) => text.contains(word) && !text.contains(without),
            Self::Asn(numbers) => asn.is_some_and(|asn| numbers.contains(&asn)),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What a verdict calls it.
    pub name: &'static str,
    /// What it tells.
    pub tells: Tells,
    /// When it holds.
    pub matches: Match,
}

macro_rules! rules {
    ($($name:literal, $kind:ident $tells:ident, $matches:expr, $source:literal, $seen:literal;)*) => {
        /// The rules, in order.
        pub const RULES: &[Rule] = &[$(Rule {
            name: $name,
            tells: Tells::$kind($kind::$tells),
            matches: { use Match::*; $matches },
        },)*];

        /// Where each rule was learnt, and the day that was looked at; apart from the rules, so that no module has to carry it.
        pub const SOURCES: &[(&str, &str, &str)] = &[$(($name, $source, $seen),)*];
    };
}

rules! {
    "agent-gmail-cache", Agent GmailCache, Has(&["googleimageproxy", "via ggpht.com"]),
        "https://www.scientiamobile.com/what-is-google-image-proxy/", "2026-11-27";
    "agent-gmail-prefetch", Agent GmailPrefetch, HasAll(&["chrome/42.0.2311.135", "edge/12.246"]),
        "https://www.sparkpost.com/blog/gmail-prefetching-images/ (Microsoft's links say it, too: https://github.com/jdavidbakr/mail-tracker/issues/255)", "2026-11-27";
    "agent-yahoo-cache", Agent YahooCache, Has(&["yahoomailproxy"]),
        "https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html, as quoted by https://botcrawl.com/bots/yahoomailproxy/", "2026-11-27";
    "agent-apple-cache", Agent AppleCache, Is("mozilla/5.0"),
        "https://github.com/ua-parser/uap-core/issues/509; https://support.clickdimensions.com/hc/en-us/articles/15707875851917-Introduction-to-Adjusted-Opens", "2026-11-27";
    "agent-scanner", Agent Scanner, Has(&["barracuda", "mimecast", "proofpoint", "ironport", "bingpreview", "microsoftpreview"]),
        "https://www.braze.com/docs (Barracuda Sentinel (EE)); https://github.com/phpList/phplist3/issues/415 (BingPreview); https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect", "2026-11-27";
    "agent-preview", Agent Preview, Has(&["slackbot", "facebookexternalhit", "whatsapp/", "twitterbot", "linkedinbot", "telegrambot", "discordbot", "skypeuripreview"]),
        "https://suped.com/learn/email-deliverability/how-can-i-identify-bot-user-agents-in-my-email-click-data", "2026-11-27";
    "agent-tool", Agent Tool, Has(&["curl/", "wget/", "python-", "python/", "aiohttp", "go-http-client", "java/", "apache-httpclient", "lua-resty-http", "headlesschrome", "phantomjs"]),
        "https://suped.com/learn/email-deliverability/how-can-i-identify-bot-user-agents-in-my-email-click-data", "2026-11-27";
    // With what follows a crawler's name, since telephones are called Cubot.
    "agent-crawler", Agent Tool, Has(&["bot/", "bot;", "bot)", "crawler", "spider", "gmail-content-sampling"]),
        "https://github.com/jdavidbakr/mail-tracker/issues/255; https://github.com/mssola/user_agent/issues/71 (Gmail-content-sampling)", "2026-11-27";
    "agent-outlook", Agent MailClient, Has(&["microsoft outlook", "outlook-ios", "outlook-android", "ms-office", "microsoft office"]),
        "https://github.com/nielsbasjes/yauaa/issues/224; https://github.com/3rd-Eden/useragent/issues/146", "2026-11-27";
    "agent-mail-client", Agent MailClient, Has(&["thunderbird", "sparrow/", "outlook-express/"]),
        "https://github.com/browscap/browscap/issues/1527; https://github.com/ua-parser/uap-python/issues/43", "2026-11-27";
    // Mail says what Safari does, but for Safari's own name.
    "agent-apple-mail", Agent AppleMail, HasWithout("applewebkit/6", "safari/"),
        "https://github.com/ua-parser/uap-core/issues/528; https://github.com/medama-io/go-useragent/issues/10", "2026-11-27";
    "agent-browser", Agent Browser, Has(&["chrome/", "safari/", "firefox/", "edg/", "opr/", "trident/"]),
        "https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/User-Agent", "2026-11-27";

    "network-google", Network Google, Asn(&[15169]),
        "https://github.com/brianhama/bad-asn-list (GOOGLE - Google Inc.); images come from there: https://www.sparkpost.com/blog/gmail-prefetching-images/", "2026-11-27";
    "network-yahoo", Network Yahoo, Asn(&[10310, 26101, 36646, 36647]),
        "https://github.com/ipverse/asn-ip as/10310 (YAHOO-1), as/26101 (YAHOO-BF1), as/36646 (YAHOO-NE1), as/36647 (YAHOO-GQ1); which of them the proxy uses is not confirmed", "2026-11-27";
    "network-microsoft", Network Microsoft, Asn(&[8075]),
        "https://github.com/warmbly/warmbly/pull/412; https://github.com/warmbly/warmbly/issues/410", "2026-11-27";
    "network-apple", Network Apple, Asn(&[714, 6185]),
        "https://github.com/ipverse/asn-ip as/714 (APPLE-ENGINEERING), as/6185 (APPLE-AUSTIN)", "2026-11-27";
    "network-relay", Network Relay, Asn(&[13335, 36183, 54113]),
        "https://blog.cloudflare.com/icloud-private-relay/ (13335); https://akamai.com/blog/cloud/powering-and-protecting-online-privacy-icloud-private-relay with https://github.com/ipverse/asn-ip as/36183; Fastly (54113) is not confirmed by its own word", "2026-11-27";
    "network-proofpoint", Network Security, Asn(&[13916, 22843, 26211, 52129]),
        "https://github.com/ipverse/asn-ip as/13916, as/22843, as/26211, as/52129 (Proofpoint, Inc.)", "2026-11-27";
    "network-mimecast", Network Security, Asn(&[30031, 39588]),
        "https://github.com/ipverse/asn-ip as/30031 (Mimecast North America Inc), as/39588 (Mimecast Services Limited)", "2026-11-27";
    "network-barracuda", Network Security, Asn(&[15324]),
        "https://github.com/ipverse/asn-ip as/15324 (Barracuda Networks, Inc.); its scanners also run on Amazon, where only their user agent tells", "2026-11-27";
    "network-carrier", Network Carrier, Asn(&[20057, 22394]),
        "https://github.com/ipverse/asn-ip as/20057 (ATT-MOBILITY-LLC), as/22394 (CELLCO)", "2026-11-27";
    "network-vpn", Network Vpn, Asn(&[9009, 11878, 39351, 46562, 62240, 212238]),
        "https://github.com/brianhama/bad-asn-list and https://github.com/jiakaiBot/deCloudflare tool/useful_ip_list (known VPNs)", "2026-11-27";
    "network-hosting", Network Hosting, Asn(&[8560, 12876, 14061, 14618, 16276, 16509, 20473, 24940, 28753, 29802, 36351, 36352, 45102, 51167, 53667, 60068, 60781, 63949]),
        "https://github.com/brianhama/bad-asn-list", "2026-11-27";
    "network-security-name", Network Security, Has(&["proofpoint", "mimecast", "barracuda networks", "messagelabs", "hornetsecurity"]),
        "the vendors' own names; Symantec's MessageLabs and Hornetsecurity by name only, as no number of theirs was confirmed", "2026-11-27";
    "network-carrier-name", Network Carrier, Has(&["mobile", "mobility", "wireless", "cellular"]),
        "a heuristic: what carriers call themselves, as ATT-MOBILITY-LLC", "2026-11-27";
    "network-vpn-name", Network Vpn, Has(&["vpn", "mullvad", "m247"]),
        "a heuristic: what providers of VPNs call themselves", "2026-11-27";
    "network-hosting-name", Network Hosting, Has(&["hosting", "datacenter", "data center", "cloud", "servers", "vps"]),
        "a heuristic: what providers of servers call themselves", "2026-11-27";
}
