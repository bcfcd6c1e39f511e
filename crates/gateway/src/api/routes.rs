//! The routes of the API, each with the one permission that it needs.
//!
//! [`Routes::needs`] and [`Routes::public`] are the only ways to add one, so there is none whose
//! permission nobody thought of. Path, method and documentation come from the handler's own
//! `utoipa::path`.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Extensions;
use model::Permission;
use utoipa::openapi::HttpMethod;

use super::ask::Ask;
use super::document::{Asks, Document, Door};
use super::refusal::{ApiRefusal, Problem};
use super::serve::{Route, Routed, told};
use super::{Api, Came, Reply, Seen, deliveries, document, endpoints, events, orders, receipts};
use crate::answer::Answer;

/// Every route there is.
pub(super) fn all() -> Routes {
    use Permission::{
        DeliveriesRead, DeliveriesRedeliver, EndpointsChange, EndpointsRead, EventsDecide,
        EventsRead, OrdersCreate, OrdersRead, ReceiptsVerify,
    };
    Routes::default()
        .needs::<orders::__path_list, _, _>(OrdersRead, orders::list)
        .needs::<orders::__path_create, _, _>(OrdersCreate, orders::create)
        .needs::<orders::__path_show, _, _>(OrdersRead, orders::show)
        .needs::<orders::__path_cancel, _, _>(OrdersCreate, orders::cancel)
        .needs::<receipts::__path_verify, _, _>(ReceiptsVerify, receipts::verify)
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
        let serve = placed(&method, move |api: Arc<Api>, came, places, request| {
            api.serve(route.clone(), Routed { came, places, request })
        });
        self.router = self.router.route(path, serve);
        self
    }

    /// A route for everybody.
    fn public<D: Documented>(mut self, show: fn() -> Answer) -> Self {
        let (path, method) = self.document.add::<D>(Asks::Nothing);
        let seen = Seen { route: path, key: None, reason: None };
        self.router = self.router.route(path, shown(&method, show, seen));
        self
    }

    /// What serves them.
    pub(super) fn router(self, api: Arc<Api>) -> Router {
        with_fallbacks(self.router).with_state(api)
    }

    /// The OpenAPI document about them.
    pub(super) fn document(self) -> String {
        self.document.text(Door::Api)
    }
}

/// What the path says, by the names that the route gives it.
pub(super) type Places = Vec<(String, String)>;

/// Serves a route whose path has places.
pub(super) fn placed<S, H, F>(method: &HttpMethod, serve: H) -> MethodRouter<Arc<S>>
where
    S: Send + Sync + 'static,
    H: Fn(Arc<S>, Came, Places, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let serve = move |State(state): State<Arc<S>>, places: RawPlaces, request: Request| {
        let serve = serve.clone();
        async move {
            let came = came(request.extensions());
            let Ok(places) = places else {
                // It is no text, and so it is no path of ours.
                return told(&ApiRefusal::RouteUnknown.into(), came);
            };
            let places = places.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
            serve(state, came, places.collect(), request).await
        }
    };
    on(filter(method), serve)
}

/// Serves a route that shows everybody the same; the log says this of it.
pub(super) fn shown<S, T>(method: &HttpMethod, show: fn() -> Answer, of_log: T) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    T: Copy + Send + Sync + 'static,
{
    let serve = move || async move {
        let mut answer = show();
        answer.extensions_mut().insert(of_log);
        answer
    };
    on(filter(method), serve)
}

/// Refuses what has no route.
pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let refuse = |refusal: ApiRefusal| {
        move |request: Request| async move { told(&refusal.into(), came(request.extensions())) }
    };
    router
        .fallback(refuse(ApiRefusal::RouteUnknown))
        .method_not_allowed_fallback(refuse(ApiRefusal::MethodNotAllowed))
}

type RawPlaces = Result<RawPathParams, RawPathParamsRejection>;

fn came(extensions: &Extensions) -> Came {
    // Every request is given it before it is routed.
    extensions.get::<Came>().copied().unwrap_or_else(Came::nowhere)
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Post => MethodFilter::POST,
        _ => MethodFilter::GET,
    }
}
