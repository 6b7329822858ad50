//! Media types: what a client accepts, and what its body is.

use axum::http::{HeaderMap, header};

/// The media type of a single response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: a 4xx status if nothing was executed.
    GraphqlResponse,
    /// `application/json`: status 200 for every well-formed request, which older clients expect.
    Json,
}

impl MediaType {
    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

/// What the `Accept` header allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The best media type for a single response, if any.
    pub single: Option<MediaType>,
    /// Whether it names `text/event-stream`.
    pub events: bool,
}

/// Reads `Accept`. Without one, or with wildcards only, a single response is `application/json`.
pub fn accepted(headers: &HeaderMap) -> Accepted {
    let values: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() {
        return Accepted { single: Some(MediaType::Json), events: false };
    }
    let ranges: Vec<Range<'_>> = values.iter().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    let graphql = quality(&ranges, "application", "graphql-response+json");
    let json = quality(&ranges, "application", "json");
    let single = if graphql.weight <= 0.0 && json.weight <= 0.0 {
        None
    } else if graphql.weight > json.weight || (graphql.weight >= json.weight && graphql.by_name) {
        Some(MediaType::GraphqlResponse)
    } else {
        Some(MediaType::Json)
    };
    let events = quality(&ranges, "text", "event-stream");
    Accepted { single, events: events.by_name && events.weight > 0.0 }
}

/// Whether there is one `Content-Type`, and it is JSON in UTF-8. The types that a web page can send to
/// another origin without a CORS preflight (forms, plain text) are not.
pub fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    value
        .to_str()
        .ok()
        .and_then(Range::parse)
        .is_some_and(|range| range.main.eq_ignore_ascii_case("application") && range.sub.eq_ignore_ascii_case("json"))
}

/// One media range of `Accept`, or a media type.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    weight: f32,
}

impl<'a> Range<'a> {
    /// `None` for a charset other than UTF-8, too.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let mut weight = 1.0;
        for parameter in parts {
            let Some((name, value)) = parameter.split_once('=') else {
                continue;
            };
            let value = value.trim_matches(['"', ' ']);
            if name.eq_ignore_ascii_case("q") {
                weight = value.parse().unwrap_or(1.0);
            } else if name.eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
                return None;
            }
        }
        Some(Self { main, sub, weight })
    }
}

#[derive(Clone, Copy)]
struct Quality {
    weight: f32,
    by_name: bool,
}

/// The weight that the most specific matching range gives to a media type.
fn quality(ranges: &[Range<'_>], main: &str, sub: &str) -> Quality {
    let specificity = |range: &Range<'_>| match (range.main, range.sub) {
        (m, s) if m.eq_ignore_ascii_case(main) && s.eq_ignore_ascii_case(sub) => 3,
        (m, "*") if m.eq_ignore_ascii_case(main) => 2,
        ("*", "*") => 1,
        _ => 0,
    };
    ranges
        .iter()
        .map(|range| (specificity(range), range.weight))
        .filter(|(specificity, _)| *specificity > 0)
        .max_by_key(|(specificity, _)| *specificity)
        .map_or(Quality { weight: 0.0, by_name: false }, |(specificity, weight)| Quality {
            weight,
            by_name: specificity == 3,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().expect("a header"))).collect()
    }

    #[test]
    fn the_best_media_type_is_chosen() {
        use MediaType::{GraphqlResponse, Json};
        for (accept, single, events) in [
            (vec![], Some(Json), false),
            (vec!["*/*"], Some(Json), false),
            (vec!["application/*"], Some(Json), false),
            (vec!["application/json"], Some(Json), false),
            (vec!["application/json; charset=utf-8"], Some(Json), false),
            (vec!["application/graphql-response+json"], Some(GraphqlResponse), false),
            (vec!["Application/GraphQL-Response+JSON;charset=UTF-8"], Some(GraphqlResponse), false),
            (vec!["application/json, application/graphql-response+json"], Some(GraphqlResponse), false),
            (vec!["application/graphql-response+json;q=0.5", "application/json"], Some(Json), false),
            (vec!["application/graphql-response+json;q=0, */*;q=0.1"], Some(Json), false),
            (vec!["text/event-stream"], None, true),
            (vec!["text/event-stream, application/json"], Some(Json), true),
            (vec!["text/event-stream;q=0, application/json"], Some(Json), false),
            (vec!["text/html"], None, false),
            (vec!["text/html,*/*;q=0.8"], Some(Json), false),
            (vec!["application/json; charset=utf-16"], None, false),
            (vec![""], None, false),
        ] {
            let expected = Accepted { single, events };
            assert_eq!(accepted(&headers(&header::ACCEPT, &accept)), expected, "{accept:?}");
        }
    }

    #[test]
    fn only_json_in_utf_8_is_a_body() {
        for good in ["application/json", "Application/JSON", "application/json; charset=\"UTF-8\""] {
            assert!(is_json(&headers(&header::CONTENT_TYPE, &[good])), "{good}");
        }
        for bad in [
            "text/plain",
            "text/plain; a=application/json",
            "application/jsonx",
            "application/graphql",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "",
        ] {
            assert!(!is_json(&headers(&header::CONTENT_TYPE, &[bad])), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
        assert!(!is_json(&headers(&header::CONTENT_TYPE, &["application/json", "text/plain"])));
    }
}
