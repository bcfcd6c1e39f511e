//! The routes for operators, each with what it needs: nothing, a session, or one whose operator's role
//! has a permission, and has confirmed where what is done cannot be undone.
//!
//! There is no other way to add a route, so there is none whose permission nobody thought of.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::Router;
use bytes::Bytes;
use model::Permission;

use super::reads::Reads;
use super::serve::{Handler, Needs, Route, Routed};
use super::{
    Asked, Given, Office, Passed, Secure, approvals, audit, blocks, door, keys, operators,
};
use crate::answer::{self, Answer};
use crate::api::document::{Asks, Document, Door, OfSession};
use crate::api::refusal::{ApiRefusal, Problem};
use crate::api::routes::{Documented, placed, shown, with_fallbacks};
use crate::operators::Operator;

/// Every route there is.
pub(super) fn all() -> Routes {
    use OfSession::{Approvals, Confirming, Decision, Password, Themselves};
    use Permission::{
        AuditRead, BlocksChange, BlocksRead, KeysChange, KeysRead, OperatorsChange, OperatorsRead,
    };
    Routes::default()
        .public::<__path_show>(show)
        .open::<door::__path_sign_in, _, _>(door::sign_in)
        .signed_in::<door::__path_sign_out, _, _>(Themselves, door::sign_out)
        .signed_in::<door::__path_confirm, _, _>(Confirming, door::confirm)
        .signed_in::<door::__path_me, _, _>(Themselves, door::me)
        .signed_in::<operators::__path_own_password, _, _>(Password, operators::own_password)
        .signed_in::<approvals::__path_list, _, _>(Approvals, approvals::list)
        .signed_in::<approvals::__path_approve, _, _>(Decision, approvals::approve)
        .signed_in::<approvals::__path_refuse, _, _>(Decision, approvals::refuse)
        .needs::<operators::__path_list, _, _, _>(OperatorsRead, false, operators::list)
        .needs::<operators::__path_add, _, _, _>(OperatorsChange, true, operators::add)
        .needs::<operators::__path_role, _, _, _>(OperatorsChange, true, operators::role)
        .needs::<operators::__path_disable, _, _, _>(OperatorsChange, true, operators::disable)
        .needs::<operators::__path_enable, _, _, _>(OperatorsChange, true, operators::enable)
        .needs::<operators::__path_password, _, _, _>(OperatorsChange, true, operators::password)
        .needs::<operators::__path_totp, _, _, _>(OperatorsChange, true, operators::totp)
        .needs::<keys::__path_list, _, _, _>(KeysRead, false, keys::list)
        .needs::<keys::__path_create, _, _, _>(KeysChange, true, keys::create)
        .needs::<keys::__path_roll, _, _, _>(KeysChange, true, keys::roll)
        .needs::<keys::__path_revoke, _, _, _>(KeysChange, true, keys::revoke)
        .needs::<blocks::__path_list, _, _, _>(BlocksRead, false, blocks::list)
        .needs::<blocks::__path_show, _, _, _>(BlocksRead, false, blocks::show)
        .needs::<blocks::__path_add, _, _, _>(BlocksChange, false, blocks::add)
        .needs::<blocks::__path_lift, _, _, _>(BlocksChange, false, blocks::lift)
        .needs::<audit::__path_list, _, _, _>(AuditRead, false, audit::list)
}

/// This document.
#[utoipa::path(
    get, path = "/admin/v1/openapi.json", operation_id = "admin_openapi", tag = "document",
    responses((status = 200, description = "The document.", body = serde_json::Value))
)]
fn show() -> Answer {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(super::openapi()));
    answer::api_done(DOCUMENT.clone())
}

/// Routes, and the document about them.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Office>>,
    document: Document,
    permissions: BTreeSet<Permission>,
}

impl Routes {
    /// A route for an operator whose role has this permission, and who has confirmed if they must.
    fn needs<D, R, H, F>(mut self, permission: Permission, confirmed: bool, handler: H) -> Self
    where
        D: Documented,
        R: Reads,
        H: Fn(Asked, Operator, R) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Given, Problem>> + Send + 'static,
    {
        self.permissions.insert(permission);
        let asks = Asks::Operator { permission, confirmed };
        let reads = |asked: &Asked| R::of(asked).map(drop);
        let needs = Needs::Permission { permission, confirmed, reads };
        let handler = move |asked: Asked, operator| {
            let later = R::of(&asked).map(|read| handler(asked, operator, read));
            async move { later?.await }
        };
        self.add::<D>(asks, needs, of_operator(handler))
    }

    /// A route for every operator.
    fn signed_in<D, H, F>(self, of: OfSession, handler: H) -> Self
    where
        D: Documented,
        H: Fn(Asked, Operator) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Given, Problem>> + Send + 'static,
    {
        let needs = Needs::Session { confirmed: of.is_confirmed() };
        self.add::<D>(Asks::Session(of), needs, of_operator(handler))
    }

    /// A route for whoever wants to sign in.
    fn open<D, H, F>(self, handler: H) -> Self
    where
        D: Documented,
        H: Fn(Asked) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Given, Problem>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |asked, _| Box::pin(handler(asked)));
        self.add::<D>(Asks::SignIn, Needs::Nobody, handler)
    }

    fn add<D: Documented>(mut self, asks: Asks, needs: Needs, handler: Handler) -> Self {
        let (path, method) = self.document.add::<D>(asks);
        let route = Route { path, needs, handler };
        let serve = placed(&method, move |office: Arc<Office>, came, places, request| {
            let is_secure = request.extensions().get::<Secure>().is_some_and(|secure| secure.0);
            office.serve(route.clone(), Routed { came, is_secure, places, request })
        });
        self.router = self.router.route(path, serve);
        self
    }

    /// A route for everybody.
    fn public<D: Documented>(mut self, show: fn() -> Answer) -> Self {
        let (path, method) = self.document.add::<D>(Asks::Nothing);
        let passed = Passed { route: path, operator: None, reason: None };
        self.router = self.router.route(path, shown(&method, show, passed));
        self
    }

    /// What serves them.
    pub(super) fn router(self, office: Arc<Office>) -> Router {
        with_fallbacks(self.router).with_state(office)
    }

    /// What operators must be allowed to do for some of them.
    pub(super) fn permissions(self) -> BTreeSet<Permission> {
        self.permissions
    }

    /// The OpenAPI document about them.
    pub(super) fn document(self) -> String {
        self.document.text(Door::Admin)
    }
}

fn of_operator<H, F>(handler: H) -> Handler
where
    H: Fn(Asked, Operator) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Given, Problem>> + Send + 'static,
{
    Arc::new(move |asked, operator| match operator {
        Some(operator) => Box::pin(handler(asked, operator)),
        None => Box::pin(std::future::ready(Err(ApiRefusal::NotSignedIn.into()))),
    })
}
