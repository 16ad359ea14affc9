"""Notes that only their owner sees, on Django: sign-in, refresh, sessions, roles and a recent sign-in."""

from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods

from keyturn.django.decorators import principal, require

from .models import Note


@require_http_methods(["GET", "DELETE"])
@require()
def notes(request):
    if request.method == "DELETE":
        return forget(request)
    mine = Note.objects.filter(owner=principal(request).user_id)
    return JsonResponse([note.text for note in mine], safe=False)


@require(fresh="5m")
def forget(request):
    Note.objects.filter(owner=principal(request).user_id).delete()
    return HttpResponse(status=204)


@require(roles=("admin",))
def everything(request):
    texts = Note.objects.values_list("owner__username", "text")
    return JsonResponse(list(texts), safe=False)
