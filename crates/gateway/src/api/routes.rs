//! The routes of the API, each with the one permission that it needs.
//!
//! [`Routes::needs`] and [`Routes::public`] are the only ways to add one, so there is none whose
//! permission nobody thought of. Path, method and documentation come from the handler's own
//! `utoipa::path`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::routing::{MethodFilter, on};
use http::Extensions;
use model::Permission;
use utoipa::openapi::HttpMethod;

use super::ask::Ask;
use super::document::{Asks, Document, Door};
use super::refusal::{ApiRefusal, Problem};
use super::serve::{Route, Routed, told};
use super::{Api, Came, Reply, Seen, deliveries, document, endpoints, events};
use crate::answer::Answer;

/// Every route there is.
pub(super) fn all() -> Routes {
    use Permission::{
        DeliveriesRead, DeliveriesRedeliver, EndpointsChange, EndpointsRead, EventsDecide,
        EventsRead,
    };
    Routes::default()
        .public::<document::__path_show>(document::show)
        .needs::<events::__path_list, _, _>(EventsRead, events::list)
        .needs::<events::__path_show, _, _>(EventsRead, events::show)
        .needs::<events::__path_release, _, _>(EventsDecide, events::release)
        .needs::<events::__path_deny, _, _>(EventsDecide, events::deny)
        .needs::<deliveries::__path_list, _, _>(DeliveriesRead, deliveries::list)
        .needs::<deliveries::__path_show, _, _>(DeliveriesRead, deliveries::show)
        .needs::<deliveries::__path_redeliver, _, _>(DeliveriesRedeliver, deliveries::redeliver)
        .needs::<endpoints::__path_list, _, _>(EndpointsRead, endpoints::list)
        .needs::<endpoints::__path_pause, _, _>(EndpointsChange, endpoints::pause)
        .needs::<endpoints::__path_resume, _, _>(EndpointsChange, endpoints::resume)
}

/// Routes, and the document about them.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Api>>,
    document: Document,
}

/// What an operation is documented by.
pub(super) trait Documented: utoipa::Path + utoipa::__dev::SchemaReferences {}

impl<T: utoipa::Path + utoipa::__dev::SchemaReferences> Documented for T {}

impl Routes {
    /// A route for those who present a key with this permission.
    fn needs<D, H, F>(mut self, needs: Permission, handler: H) -> Self
    where
        D: Documented,
        H: Fn(Ask) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, Problem>> + Send + 'static,
    {
        let (path, method) = self.document.add::<D>(Asks::Key(needs));
        let handler: super::serve::Handler = Arc::new(move |ask| Box::pin(handler(ask)));
        let route = Route { path, needs, handler };
        let serve = move |State(api): State<Arc<Api>>, places: Places, request: Request| {
            let route = route.clone();
            async move {
                let came = came(request.extensions());
                let Ok(places) = places else {
                    // It is no text, and so it is no path of ours.
                    return told(&ApiRefusal::RouteUnknown.into(), came);
                };
                let places = places.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
                let places = places.collect();
                api.serve(route, Routed { came, places, request }).await
            }
        };
        self.router = self.router.route(path, on(filter(&method), serve));
        self
    }

    /// A route for everybody.
    fn public<D: Documented>(mut self, show: fn() -> Answer) -> Self {
        let (path, method) = self.document.add::<D>(Asks::Nothing);
        let serve = move || async move {
            let mut answer = show();
            answer.extensions_mut().insert(Seen { route: path, key: None, reason: None });
            answer
        };
        self.router = self.router.route(path, on(filter(&method), serve));
        self
    }

    /// What serves them.
    pub(super) fn router(self, api: Arc<Api>) -> Router {
        let unknown = |request: Request| async move {
            told(&ApiRefusal::RouteUnknown.into(), came(request.extensions()))
        };
        let other_method = |request: Request| async move {
            told(&ApiRefusal::MethodNotAllowed.into(), came(request.extensions()))
        };
        self.router.fallback(unknown).method_not_allowed_fallback(other_method).with_state(api)
    }

    /// The OpenAPI document about them.
    pub(super) fn document(self) -> String {
        self.document.text(Door::Api)
    }
}

type Places = Result<RawPathParams, RawPathParamsRejection>;

pub(super) fn came(extensions: &Extensions) -> Came {
    // Every request is given it before it is routed.
    extensions.get::<Came>().copied().unwrap_or_else(Came::nowhere)
}

pub(super) fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Post => MethodFilter::POST,
        _ => MethodFilter::GET,
    }
}
